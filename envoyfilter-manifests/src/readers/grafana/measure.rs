//! What the numbers of a panel mean. Not here: where they come from.

use serde_json::{Value, json};

/// What a number means: its unit, and from where on it is worth a look.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Per second.
    Requests,
    /// Per second, and there should be none.
    Faults,
    /// Percent that should be near 100.
    Success,
    /// Percent of what is encrypted.
    Encrypted,
    /// Milliseconds.
    Duration,
    /// Per second.
    Bytes,
    /// Per second.
    Connections,
    /// A number of things.
    Count,
    /// Label sets of one proxy, of which there may be so many; zero is no limit.
    LabelSets(usize),
}

impl Measure {
    /// Grafana's name of the unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Requests | Self::Faults => "reqps",
            Self::Success | Self::Encrypted => "percent",
            Self::Duration => "ms",
            Self::Bytes => "Bps",
            Self::Connections => "cps",
            Self::Count | Self::LabelSets(_) => "short",
        }
    }

    /// A colour, and those from other values on.
    pub fn thresholds(self) -> Value {
        let (first, more): (&str, Vec<(f64, &str)>) = match self {
            Self::Success => ("red", vec![(95.0, "orange"), (99.0, "green")]),
            Self::Encrypted => ("orange", vec![(100.0, "green")]),
            Self::Duration => ("green", vec![(500.0, "orange"), (1000.0, "red")]),
            Self::Faults => ("green", vec![(0.001, "red")]),
            Self::LabelSets(limit @ 1..) => {
                let limit = u32::try_from(limit).map_or(f64::MAX, f64::from);
                ("green", vec![(limit * 0.8, "orange"), (limit, "red")])
            }
            _ => ("blue", Vec::new()),
        };
        let first = json!({ "color": first, "value": null });
        let more = more
            .into_iter()
            .map(|(value, color)| json!({ "color": color, "value": value }));
        json!({ "mode": "absolute", "steps": std::iter::once(first).chain(more).collect::<Vec<_>>() })
    }

    /// The settings of a panel's fields.
    pub fn defaults(self) -> Value {
        let mut defaults =
            json!({ "min": 0, "thresholds": self.thresholds(), "unit": self.unit() });
        if self.unit() == "percent" {
            defaults["max"] = json!(100);
        }
        defaults
    }
}
