//! The text that Prometheus scrapes (exposition format 0.0.4).

use alloc::string::String;
use core::fmt::{self, Display, Write};

use super::{Metric, MetricKind, Registry};

impl Registry {
    /// All metrics as text, families and series in a fixed order.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = self.expose(&mut text);
        text
    }

    /// Writes all metrics as text.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn expose(&self, out: &mut impl Write) -> fmt::Result {
        for (name, family) in &self.families {
            if !family.help.is_empty() {
                writeln!(
                    out,
                    "# HELP {name} {}",
                    Escaped {
                        text: &family.help,
                        quotes: false
                    }
                )?;
            }
            writeln!(out, "# TYPE {name} {}", type_name(family.kind))?;
            for series in family.series.values() {
                let labels = &*series.labels;
                match &series.metric {
                    Metric::Counter(counter) => sample(out, name, labels, None, counter.get())?,
                    Metric::Gauge(gauge) => sample(out, name, labels, None, gauge.get())?,
                    Metric::Histogram(histogram) => {
                        let mut all = 0;
                        for (bound, count) in histogram.buckets() {
                            sample(
                                out,
                                format_args!("{name}_bucket"),
                                labels,
                                Some(bound),
                                count,
                            )?;
                            all = count;
                        }
                        let sum = Number(histogram.sum());
                        sample(out, format_args!("{name}_sum"), labels, None, sum)?;
                        sample(out, format_args!("{name}_count"), labels, None, all)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn type_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    }
}

fn sample(
    out: &mut impl Write,
    name: impl Display,
    labels: &[(String, String)],
    le: Option<f64>,
    value: impl Display,
) -> fmt::Result {
    write!(out, "{name}")?;
    let mut separator = '{';
    for (name, value) in labels {
        write!(
            out,
            "{separator}{name}=\"{}\"",
            Escaped {
                text: value,
                quotes: true
            }
        )?;
        separator = ',';
    }
    if let Some(bound) = le {
        write!(out, "{separator}le=\"{}\"", Number(bound))?;
        separator = ',';
    }
    if separator == ',' {
        out.write_char('}')?;
    }
    writeln!(out, " {value}")
}

/// A text with a backslash before each backslash, line feeds as `\n`, and quotes escaped where they
/// would end it.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A number as Prometheus writes it.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            other => other.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_help_are_escaped() {
        let mut registry = Registry::new();
        let hostile = "a\"b\\c\nd";
        registry.counter("c", hostile, &[("l", hostile)]).unwrap();
        assert_eq!(
            registry.exposition(),
            "# HELP c a\"b\\\\c\\nd\n# TYPE c counter\nc{l=\"a\\\"b\\\\c\\nd\"} 0\n"
        );
    }

    #[test]
    fn families_and_series_come_in_a_fixed_order() {
        let mut registry = Registry::new();
        registry.gauge("b", "", &[]).unwrap().set(-1);
        registry.counter("a", "", &[("l", "2")]).unwrap();
        registry.counter("a", "", &[("l", "1")]).unwrap();
        assert_eq!(
            registry.exposition(),
            "# TYPE a counter\na{l=\"1\"} 0\na{l=\"2\"} 0\n# TYPE b gauge\nb -1\n"
        );
    }

    #[test]
    fn numbers_look_as_prometheus_writes_them() {
        for (number, text) in [
            (0.5, "0.5"),
            (3_600_000.0, "3600000"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(alloc::format!("{}", Number(number)), text);
        }
    }
}
