//! Messages of gRPC requests: counted while a request is open, and at its end.

use crate::host::{MessageCounts, Metrics};
use crate::record::Recorder;
use crate::record::facts::Facts;
use crate::record::tables::{EvaluatedId, Tables};

/// What has been reported of a gRPC request's messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenMessages {
    reported: MessageCounts,
    /// What the user's expressions evaluated to when the request began: while it is open, they cannot
    /// be evaluated.
    evaluated: Option<EvaluatedId>,
}

impl OpenMessages {
    /// Nothing reported yet. `evaluated` is unset where there was nothing to evaluate.
    pub fn new(evaluated: Option<EvaluatedId>) -> Self {
        Self {
            evaluated,
            ..Self::default()
        }
    }

    /// Whether anything has been reported.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.reported != MessageCounts::default()
    }

    /// Reports the messages of a request that is still open, if all that labels show is known.
    pub fn report_open(
        &mut self,
        host: &mut dyn Metrics,
        recorder: &mut Recorder,
        tables: &Tables,
        facts: &Facts,
    ) {
        let Some((now, new)) = self.new_messages(facts) else {
            return;
        };
        if !recorder.knows_peers(facts) {
            return;
        }
        let facts = match (self.evaluated, recorder.expressions().is_empty()) {
            (Some(evaluated), _) => Facts {
                evaluated,
                ..*facts
            },
            (None, true) => *facts,
            // It has to wait for the end, where they can be evaluated.
            (None, false) => return,
        };
        recorder.record_messages(host, tables, &facts, new);
        self.reported = now;
    }

    /// Reports the rest of the messages of a request that has ended. At its end
    /// more is known, but the user's labels stay those that it began with, once it was reported.
    pub fn report_finished(
        &mut self,
        host: &mut dyn Metrics,
        recorder: &mut Recorder,
        tables: &Tables,
        facts: &Facts,
    ) {
        let Some((now, new)) = self.new_messages(facts) else {
            return;
        };
        let evaluated = match self.evaluated {
            Some(evaluated) if self.has_begun() => evaluated,
            _ => facts.evaluated,
        };
        let facts = Facts {
            evaluated,
            ..*facts
        };
        recorder.record_messages(host, tables, &facts, new);
        self.reported = now;
    }

    /// The messages so far, and those since the last report, if there are any.
    fn new_messages(&self, facts: &Facts) -> Option<(MessageCounts, MessageCounts)> {
        let now = facts.messages?;
        let new = MessageCounts {
            request: now.request.saturating_sub(self.reported.request),
            response: now.response.saturating_sub(self.reported.response),
        };
        (new != MessageCounts::default()).then_some((now, new))
    }
}
