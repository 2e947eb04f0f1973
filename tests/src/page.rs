//! A Prometheus page, parsed as strictly as its text format is specified.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

/// A whole page: its metric families by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The families, by name.
    pub families: BTreeMap<String, MetricFamily>,
}

/// The samples below one `# TYPE` line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricFamily {
    /// `counter`, `gauge`, `histogram`, `summary` or `untyped`.
    pub kind: String,
    /// The text of the `# HELP` line.
    pub help: Option<String>,
    /// The samples, in the order of the page.
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name, with a histogram's suffix.
    pub name: String,
    /// The labels, in the order of the page, values unescaped.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Page {
    /// Parses a page.
    ///
    /// # Errors
    /// On the first line that a scraper would refuse: a malformed name, label, escape or value, a label twice in a
    /// series, a family declared twice, or a series twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut page = Self::default();
        let mut current = String::new();
        let mut seen = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            page.read_line(line, &mut current, &mut seen)
                .with_context(|| format!("line {}: {line}", index + 1))?;
        }
        Ok(page)
    }

    /// All samples of that name, `istio_requests_total` or `istio_request_bytes_count`.
    pub fn series(&self, name: &str) -> Vec<&Sample> {
        self.families
            .values()
            .flat_map(|family| &family.samples)
            .filter(|sample| sample.name == name)
            .collect()
    }

    /// The sum of the samples of that name that carry all of these labels; zero when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name)
            .into_iter()
            .filter(|sample| sample.has(labels))
            .map(|sample| sample.value)
            .fold(0.0, |sum, value| sum + value)
    }

    fn read_line(
        &mut self,
        line: &str,
        current: &mut String,
        seen: &mut BTreeSet<String>,
    ) -> Result<()> {
        if let Some(comment) = line.strip_prefix('#') {
            return self.read_comment(comment.trim_start(), current);
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        let sample = Sample::parse(line)?;
        ensure!(
            seen.insert(sample.identity()),
            "a series that the page already has"
        );
        if !belongs(&sample.name, current, self.families.get(current)) {
            current.clone_from(&sample.name);
            let family = MetricFamily {
                kind: "untyped".to_owned(),
                ..MetricFamily::default()
            };
            ensure!(
                self.families.insert(sample.name.clone(), family).is_none(),
                "outside its family"
            );
        }
        self.families
            .entry(current.clone())
            .or_default()
            .samples
            .push(sample);
        Ok(())
    }

    fn read_comment(&mut self, comment: &str, current: &mut String) -> Result<()> {
        let mut words = comment.splitn(3, ' ');
        let (keyword, name, rest) = (
            words.next(),
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if !matches!(keyword, Some("TYPE" | "HELP")) {
            return Ok(());
        }
        ensure!(is_name(name, true), "{name} is no metric name");
        if name != current {
            ensure!(
                !self.families.contains_key(name),
                "the family appears twice"
            );
            name.clone_into(current);
        }
        let family = self.families.entry(name.to_owned()).or_default();
        if keyword == Some("HELP") {
            ensure!(
                family.help.replace(rest.to_owned()).is_none(),
                "a second HELP"
            );
            return Ok(());
        }
        ensure!(
            matches!(
                rest,
                "counter" | "gauge" | "histogram" | "summary" | "untyped"
            ),
            "{rest} is no type"
        );
        ensure!(family.kind.is_empty(), "a second TYPE");
        rest.clone_into(&mut family.kind);
        Ok(())
    }
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it carries all of these labels.
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name) == Some(value))
    }

    /// The names of its labels, sorted.
    pub fn label_names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.labels.iter().map(|(name, _)| name.as_str()).collect();
        names.into_iter().collect()
    }

    /// Parses one line that is not a comment.
    fn parse(line: &str) -> Result<Self> {
        let end = line.find(['{', ' ']).context("no value")?;
        let (name, mut rest) = line.split_at(end);
        ensure!(is_name(name, true), "{name} is no metric name");
        let mut labels: Vec<(String, String)> = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest
                    .split_once("=\"")
                    .context("no =\" after a label's name")?;
                ensure!(is_name(label, false), "{label} is no label name");
                ensure!(
                    labels.iter().all(|(earlier, _)| earlier != label),
                    "{label} stands twice"
                );
                let (value, after) = quoted(after)?;
                labels.push((label.to_owned(), value));
                rest = after.strip_prefix(',').unwrap_or(after);
                ensure!(
                    after.starts_with([',', '}']),
                    "neither , nor }} after the value of {label}"
                );
            }
            rest = &rest[1..];
        }
        let mut words = rest.split_ascii_whitespace();
        let value = words.next().context("no value")?;
        let value = value
            .parse()
            .with_context(|| format!("{value} is no number"))?;
        if let Some(timestamp) = words.next() {
            timestamp
                .parse::<i64>()
                .with_context(|| format!("{timestamp} is no timestamp"))?;
        }
        ensure!(words.next().is_none(), "more than a value and a timestamp");
        Ok(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }

    fn identity(&self) -> String {
        let labels: BTreeMap<&str, &str> = self
            .labels
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        format!("{}{labels:?}", self.name)
    }
}

fn belongs(sample: &str, family: &str, known: Option<&MetricFamily>) -> bool {
    let suffixes: &[&str] = match known.map(|family| family.kind.as_str()) {
        Some("histogram") => &["_bucket", "_sum", "_count"],
        Some("summary") => &["", "_sum", "_count"],
        Some(_) => &[""],
        None => return false,
    };
    sample
        .strip_prefix(family)
        .is_some_and(|suffix| suffixes.contains(&suffix))
}

fn is_name(name: &str, metric: bool) -> bool {
    let colon = |c: char| metric && c == ':';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || colon(c))
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || colon(c))
}

/// Parses to the closing quote; returns the unescaped value, and the rest of the text.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                other => bail!("the escape \\{:?}", other.map(|(_, c)| c)),
            },
            c => value.push(c),
        }
    }
    bail!("a value without its closing quote")
}

#[cfg(test)]
mod tests;
