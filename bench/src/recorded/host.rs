//! The recorded proxy as a host of the core: each call is counted and answered.

use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};

use super::{HostCall, Recorded};

impl Headers for Recorded {
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.count(HostCall::GetHeader);
        self.find_header(map, name)
    }

    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        self.count(HostCall::GetHeaders);
        names.map(|name| self.find_header(map, name))
    }

    fn set_header(&self, _map: HeaderMap, _name: &str, _value: &[u8]) {
        self.count(HostCall::SetHeader);
    }

    fn remove_header(&self, _map: HeaderMap, _name: &str) {
        self.count(HostCall::RemoveHeader);
    }
}

impl Attributes for Recorded {
    fn attribute(&self, path: &str) -> Option<&[u8]> {
        self.count(HostCall::GetProperty);
        let found = self.answers.iter().find(|answer| answer.path == path);
        found.map(|answer| &*answer.value)
    }

    fn compile(&self, expression: &str) -> Option<Expression> {
        self.count(HostCall::Compile);
        match self.prepare(expression) {
            Ok(value) => {
                let free = self
                    .expressions
                    .iter()
                    .position(|slot| slot.get().is_none())?;
                self.expressions[free].set(value).ok()?;
                Some(Expression(free as u32))
            }
            Err(unknown) => {
                let problem = format!("nothing is recorded for `{unknown}` in `{expression}`");
                self.problems.borrow_mut().push(problem);
                None
            }
        }
    }

    fn evaluate(&self, expression: Expression) -> Option<&[u8]> {
        self.count(HostCall::Evaluate);
        let slot = self.expressions.get(expression.0 as usize)?;
        slot.get().map(|value| &**value)
    }

    fn forget(&self, _expression: Expression) {
        self.count(HostCall::Forget);
    }

    fn declare_struct(&self, _name: &str) {
        self.count(HostCall::Declare);
    }

    fn publish(&self, _name: &str, _value: &[u8]) {
        self.count(HostCall::SetProperty);
    }
}

impl Metrics for Recorded {
    fn define(&self, _kind: MetricKind, stat_name: &str) -> Option<MetricId> {
        self.count(HostCall::Define);
        let mut last = self.last_defined.borrow_mut();
        last.clear();
        last.push_str(stat_name);
        self.defined.set(self.defined.get() + 1);
        Some(MetricId(self.defined.get()))
    }

    fn record(&self, _metric: MetricId, _value: u64) {
        self.count(HostCall::Record);
    }

    fn change(&self, _gauge: MetricId, _by: i64) {
        self.count(HostCall::Change);
    }
}

impl Clock for Recorded {
    fn now(&self) -> u64 {
        self.count(HostCall::Time);
        self.time.set(self.time.get() + 1_000);
        self.time.get()
    }
}

impl Log for Recorded {
    fn log(&self, level: LogLevel, message: &str) {
        self.count(HostCall::Log);
        if level != LogLevel::Debug {
            self.problems.borrow_mut().push(message.to_owned());
        }
    }
}
