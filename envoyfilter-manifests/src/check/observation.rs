//! What is judged of a proxy: its page at the end, and what happened until then.

use std::collections::{BTreeMap, VecDeque};

use crate::scrape::{ScrapedPage, ScrapedSample};

/// A proxy as it was observed.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// What stands on the page at the end: names, bounds, the number of series.
    pub page: ScrapedPage,
    /// What was counted in the time that is judged: `*_total` of which something was counted.
    pub happened: Vec<ScrapedSample>,
    /// Label sets in use, where [`page`](Self::page) has not all of them.
    pub series: Option<f64>,
}

impl Observation {
    /// What a proxy counted between two pages. A counter that went down belongs to a proxy that was restarted: all of it
    /// happened since.
    pub fn between(before: &ScrapedPage, page: ScrapedPage) -> Self {
        let is_counter = |sample: &&ScrapedSample| sample.name.ends_with("_total");
        // In order of the page, because a series may stand on it twice.
        let mut earlier: BTreeMap<_, VecDeque<f64>> = BTreeMap::new();
        for sample in before.samples.iter().filter(is_counter) {
            let values = earlier.entry((&sample.name, &sample.labels)).or_default();
            values.push_back(sample.value);
        }
        let mut happened = Vec::new();
        for sample in page.samples.iter().filter(is_counter) {
            let values = earlier.get_mut(&(&sample.name, &sample.labels));
            let earlier = values.and_then(VecDeque::pop_front);
            let earlier = earlier.filter(|earlier| *earlier <= sample.value);
            let value = sample.value - earlier.unwrap_or_default();
            if value > 0.0 {
                let sample = sample.clone();
                happened.push(ScrapedSample { value, ..sample });
            }
        }
        Self {
            page,
            happened,
            series: None,
        }
    }

    /// What was counted under that name.
    pub fn counted(&self, name: &str) -> impl Iterator<Item = &ScrapedSample> {
        self.happened
            .iter()
            .filter(move |sample| sample.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(before: &str, after: &str) -> Vec<(String, f64)> {
        let observation =
            Observation::between(&ScrapedPage::parse(before), ScrapedPage::parse(after));
        let of = |sample: &ScrapedSample| (sample.label("x").to_owned(), sample.value);
        observation.happened.iter().map(of).collect()
    }

    #[test]
    fn only_what_was_counted_in_between_happened() {
        let before = "a_total{x=\"1\"} 5\na_total{x=\"2\"} 7\ngauge{x=\"3\"} 1\n";
        let after =
            "a_total{x=\"1\"} 5\na_total{x=\"2\"} 9\na_total{x=\"4\"} 1\ngauge{x=\"3\"} 2\n";
        assert_eq!(
            happened(before, after),
            [("2".to_owned(), 2.0), ("4".to_owned(), 1.0)]
        );
    }

    #[test]
    fn after_a_restart_everything_happened() {
        assert_eq!(
            happened("a_total{x=\"1\"} 5\n", "a_total{x=\"1\"} 2\n"),
            [("1".to_owned(), 2.0)]
        );
    }
}
