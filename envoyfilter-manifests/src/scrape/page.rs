//! A Prometheus page, parsed leniently so that its faults can be found: duplicates are kept, no line is an error.

use std::collections::BTreeMap;

/// A page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapedPage {
    /// The names of the `# TYPE` lines, with repetitions.
    pub families: Vec<String>,
    /// The samples, in order.
    pub samples: Vec<ScrapedSample>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedSample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl ScrapedPage {
    /// Parses a page; malformed lines are skipped.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let name = family.split(' ').next().unwrap_or_default();
                page.families.push(name.to_owned());
            } else if !line.starts_with('#') {
                page.samples.extend(ScrapedSample::parse(line));
            }
        }
        page
    }

    /// The samples of a metric.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &ScrapedSample> {
        self.samples
            .iter()
            .filter(move |sample| sample.name == name)
    }
}

impl ScrapedSample {
    /// A sample with these labels.
    pub fn new(name: &str, labels: impl IntoIterator<Item = (String, String)>, value: f64) -> Self {
        Self {
            name: name.to_owned(),
            labels: labels.into_iter().collect(),
            value,
        }
    }

    /// The value of a label; empty if it is missing, as in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = unescape(after)?;
                labels.insert(label.to_owned(), value);
                rest = after.trim_start_matches(',');
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }
}

/// A label's value up to its closing quote, and the rest of the text.
fn unescape(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_quotes_braces_and_commas() {
        let page = ScrapedPage::parse(
            "# TYPE a counter\na{x=\"1\\\"}, \\\\\",y=\"\"} 2\nb 3 4\nnonsense\n",
        );
        assert_eq!(page.families, ["a"]);
        assert_eq!(page.samples.len(), 2);
        assert_eq!(page.samples[0].label("x"), "1\"}, \\");
        assert_eq!(page.samples[0].labels.len(), 2);
        assert_eq!(page.of("b").next().map(|sample| sample.value), Some(3.0));
    }
}
