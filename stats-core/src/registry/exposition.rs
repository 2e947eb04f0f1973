//! The text that Prometheus scrapes: its own format and OpenMetrics, written as it comes.

use alloc::borrow::Cow;
use alloc::string::String;
use core::any::Any;
use core::fmt::{self, Debug, Write};
use core::time::Duration;

use super::encoded::{pairs, push};
use super::exemplar::Exemplar;
use super::format::Format;
use super::lock::Shareable;
use super::names::{Type, escape, is_metric_name, label_by_values, metric_by_values};
use super::number::{Digits, Number};

/// What stands behind a name on the page.
pub(super) trait Collect: Debug + Shareable + 'static {
    /// Writes all series.
    fn expose(&self, to: &mut FamilyWriter) -> fmt::Result;
    /// To find out which family it is.
    fn as_any(&self) -> &dyn Any;
}

/// What the lines of one name have in common.
pub(super) struct Heading<'a> {
    /// The family, without the ending that its type's samples have.
    pub base: &'a str,
    pub help: &'a str,
    pub unit: Option<&'a str>,
    pub kind: Type,
    /// What stands behind the base in a sample that is the value: `_total` or nothing.
    pub suffix: &'static str,
    /// Whether names may have any characters.
    pub utf8: bool,
}

/// Writes the lines of one name. Its first line comes with the first series: a name without series is
/// not on the page.
pub(super) struct FamilyWriter<'a> {
    out: &'a mut dyn Write,
    format: Format,
    heading: &'a Heading<'a>,
    /// The base, spelled so that it can stand on this page.
    name: Cow<'a, str>,
    is_quoted: bool,
    is_headed: bool,
    /// The labels of the registry.
    constant: &'a str,
}

impl<'a> FamilyWriter<'a> {
    pub fn new(out: &'a mut dyn Write, format: Format, heading: &'a Heading<'a>) -> Self {
        let is_quoted = format.quotes_names() && !is_metric_name(heading.base);
        let name = if is_quoted {
            let mut name = String::new();
            // A string takes whatever is written.
            let _ = escape(heading.base, true, &mut name);
            Cow::Owned(name)
        } else if heading.utf8 && !format.quotes_names() {
            Cow::Owned(metric_by_values(heading.base))
        } else {
            Cow::Borrowed(heading.base)
        };
        Self {
            out,
            format,
            heading,
            name,
            is_quoted,
            is_headed: false,
            constant: "",
        }
    }

    /// The labels that all series have from here on.
    pub fn set_constant(&mut self, constant: &'a str) {
        self.constant = constant;
    }

    /// Begins a series.
    pub fn series<'s>(
        &'s mut self,
        labels: &'s str,
        created: Option<Duration>,
    ) -> Result<SeriesWriter<'s, 'a>, fmt::Error> {
        if !self.is_headed {
            self.is_headed = true;
            self.head()?;
        }
        let labels = self.spelled(labels);
        Ok(SeriesWriter {
            family: self,
            labels,
            created,
        })
    }

    fn head(&mut self) -> fmt::Result {
        let Heading { help, unit, .. } = *self.heading;
        if !help.is_empty() {
            self.head_line("HELP", |out, format| {
                escape(help, format.is_open_metrics(), out)
            })?;
        }
        let kind = match self.heading.kind {
            Type::Info if !self.format.is_open_metrics() => Type::Gauge,
            kind => kind,
        };
        self.head_line("TYPE", |out, _| out.write_str(kind.name()))?;
        match unit {
            Some(unit) if self.format.is_open_metrics() => {
                self.head_line("UNIT", |out, _| out.write_str(unit))
            }
            _ => Ok(()),
        }
    }

    fn head_line(
        &mut self,
        word: &str,
        rest: impl FnOnce(&mut dyn Write, Format) -> fmt::Result,
    ) -> fmt::Result {
        let Self { out, name, .. } = self;
        // OpenMetrics names the family, the older format the sample.
        let suffix = if self.format.is_open_metrics() {
            ""
        } else {
            self.heading.suffix
        };
        if self.is_quoted {
            write!(out, "# {word} \"{name}{suffix}\" ")?;
        } else {
            write!(out, "# {word} {name}{suffix} ")?;
        }
        rest(*out, self.format)?;
        out.write_char('\n')
    }

    /// Labels as they can stand on this page.
    fn spelled<'s>(&self, labels: &'s str) -> Cow<'s, str> {
        if !self.heading.utf8 || self.format.quotes_names() {
            return Cow::Borrowed(labels);
        }
        let mut spelled = String::new();
        for (name, value) in pairs(labels) {
            push(&mut spelled, &label_by_values(&name), &value);
        }
        Cow::Owned(spelled)
    }
}

/// Writes the lines of one series.
pub struct SeriesWriter<'s, 'a> {
    family: &'s mut FamilyWriter<'a>,
    labels: Cow<'s, str>,
    created: Option<Duration>,
}

impl SeriesWriter<'_, '_> {
    /// Writes the sample of a counter, a gauge or an info.
    pub(super) fn value(&mut self, value: impl Number, exemplar: Option<&Exemplar>) -> fmt::Result {
        let suffix = match self.family.heading {
            // OpenMetrics insists.
            heading if self.family.format.is_open_metrics() => heading.kind.suffix(),
            heading => heading.suffix,
        };
        self.sample(suffix, None, value, exemplar)
    }

    /// Writes a histogram's bucket.
    pub(super) fn bucket(
        &mut self,
        bound: f64,
        count: u64,
        exemplar: Option<&Exemplar>,
    ) -> fmt::Result {
        self.sample("_bucket", Some(bound), count, exemplar)
    }

    /// Writes what stands behind a histogram's buckets.
    pub(super) fn sum_and_count(
        &mut self,
        sum: f64,
        count: u64,
        has_negative_bounds: bool,
    ) -> fmt::Result {
        // OpenMetrics has neither where the sum could fall.
        let can_fall = has_negative_bounds || sum.is_nan() || sum < 0.0;
        if can_fall && self.family.format.is_open_metrics() {
            return Ok(());
        }
        self.sample("_sum", None, sum, None)?;
        self.sample("_count", None, count, None)
    }

    /// Ends the series: writes when it was created, where that is known.
    pub(super) fn end(&mut self) -> fmt::Result {
        let has_created = matches!(self.family.heading.kind, Type::Counter | Type::Histogram);
        match self.created {
            Some(created) if has_created && self.family.format.is_open_metrics() => {
                self.sample("_created", None, Seconds(created), None)
            }
            _ => Ok(()),
        }
    }

    fn sample(
        &mut self,
        suffix: &str,
        bound: Option<f64>,
        value: impl Written,
        exemplar: Option<&Exemplar>,
    ) -> fmt::Result {
        let FamilyWriter {
            out,
            format,
            name,
            is_quoted,
            constant,
            ..
        } = &mut *self.family;
        let mut separator = "{";
        if *is_quoted {
            out.write_str("{\"")?;
            out.write_str(name)?;
            out.write_str(suffix)?;
            out.write_str("\"")?;
            separator = ",";
        } else {
            out.write_str(name)?;
            if !suffix.is_empty() {
                out.write_str(suffix)?;
            }
        }
        for labels in [*constant, &*self.labels] {
            if !labels.is_empty() {
                out.write_str(separator)?;
                out.write_str(labels)?;
                separator = ",";
            }
        }
        if let Some(bound) = bound {
            out.write_str(separator)?;
            out.write_str("le=\"")?;
            write_bound(bound, *format, *out)?;
            out.write_str("\"")?;
            separator = ",";
        }
        out.write_str(if separator == "," { "} " } else { " " })?;
        value.write_to(*out)?;
        if let Some(exemplar) = exemplar.filter(|_| format.is_open_metrics()) {
            write_exemplar(exemplar, *out)?;
        }
        out.write_str("\n")
    }
}

/// OpenMetrics wants a bound to look like a float, so that each bound has one look.
fn write_bound(bound: f64, format: Format, out: &mut dyn Write) -> fmt::Result {
    bound.write(out)?;
    let is_bare = bound.is_finite() && bound.abs() < 1e16 && bound % 1.0 == 0.0;
    if is_bare && format.is_open_metrics() {
        out.write_str(".0")?;
    }
    Ok(())
}

fn write_exemplar(exemplar: &Exemplar, out: &mut dyn Write) -> fmt::Result {
    write!(out, " # {{{}}} ", exemplar.labels)?;
    exemplar.value.write(out)?;
    match exemplar.time {
        Some(time) => {
            out.write_str(" ")?;
            Seconds(time).write_to(out)
        }
        None => Ok(()),
    }
}

/// What can stand behind a sample's name.
trait Written {
    fn write_to(self, out: &mut dyn Write) -> fmt::Result;
}

impl<N: Number> Written for N {
    fn write_to(self, out: &mut dyn Write) -> fmt::Result {
        self.write(out)
    }
}

/// A time in seconds, to the millisecond.
struct Seconds(Duration);

impl Written for Seconds {
    fn write_to(self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(Digits::new(self.0.as_secs()).as_str())?;
        write!(out, ".{:03}", self.0.subsec_millis())
    }
}
