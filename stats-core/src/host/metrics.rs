//! Where series live.

pub use crate::registry::MetricKind;

/// A family that the host has defined: one metric with its label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FamilyId(pub u32);

/// A series of a family: one set of label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(pub u32);

/// Holds families of series.
///
/// A host whose metrics have no labels glues them into names with
/// [`stat_name`](crate::labels::stat_name).
pub trait Metrics {
    /// The family of this name with these labels, defined where it does not exist. Most families are
    /// asked for while a plugin is configured; those of labels that depend on a condition (`match`)
    /// when they are first needed. `None` where the host cannot define it.
    fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> Option<FamilyId>;

    /// The series of a family with these values, in the order of the labels, defined where it does not
    /// exist. Values are [neutral](crate::labels::value::neutral). `None` where the host cannot define
    /// it.
    fn series(&mut self, family: FamilyId, values: &[&str]) -> Option<SeriesId>;

    /// Whether the host takes the series of one more label set, beside at most `limit` others: of these
    /// values in this family, and whatever goes with it. Asked before a new label set's series are made.
    /// A host with several workers counts those of all; one that was taken before is taken again.
    fn admit(&mut self, _family: FamilyId, _values: &[&str], _limit: usize) -> bool {
        true
    }

    /// Whether there is time to make series now, of which at most `percent` of a worker's goes into it:
    /// those of one label set, or one of a label set that waits. A host to which they cost next to
    /// nothing has always time. Where it has none, [`make_soon`](Self::make_soon) follows.
    fn has_time(&mut self, _percent: u8) -> bool {
        true
    }

    /// Label sets wait for their series: the plugin is to be called soon, see
    /// [`Plugin::on_early_tick`](crate::http::Plugin::on_early_tick).
    fn make_soon(&mut self) {}

    /// Adds to a counter.
    fn add(&mut self, counter: SeriesId, by: u64);

    /// Observes a value in a histogram, in the unit of the metric: milliseconds or bytes.
    fn observe(&mut self, histogram: SeriesId, value: u64);

    /// Sets a gauge.
    fn gauge_set(&mut self, gauge: SeriesId, value: u64);

    /// Changes a gauge by so much. Unlike a value that is set, this adds up over several workers.
    fn gauge_add(&mut self, gauge: SeriesId, by: i64);
}
