//! What a family can hold: the counters, gauges and histograms, and how each is written.

use core::fmt::Debug;

use super::exposition::SeriesWriter;
use super::lock::Shareable;
use super::names::Type;

pub(super) use self::record::Record;

/// A kind of metric that a [`Family`](super::Family) can hold: [`Counter`](super::Counter),
/// [`Gauge`](super::Gauge), [`Histogram`](super::Histogram), [`Info`](super::Info), and those with
/// exemplars. Closed: a page must know how to write each.
pub trait Instrument: Record {}

/// How many handles a family has itself to a series that is on pages: to find it, and to write it.
pub(super) const FAMILY_HANDLES: usize = 2;

/// In a private module, so that nobody else implements it.
mod record {
    use super::{Debug, SeriesWriter, Shareable, Type};
    use core::fmt;

    pub trait Record: Clone + Debug + Shareable + 'static {
        /// What all series of a family have in common.
        type Options: Clone + Debug + Default + Shareable + 'static;
        /// The word on the `# TYPE` line.
        const TYPE: Type;
        /// A new series.
        fn create(options: &Self::Options) -> Self;
        /// Whether a family can have these options.
        fn is_valid(_: &Self::Options) -> bool {
            true
        }
        /// Whether both options make the same series.
        fn is_same(_: &Self::Options, _: &Self::Options) -> bool {
            true
        }
        /// Writes all samples of the series.
        fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result;
        /// Differs, most probably, once something was recorded.
        fn fingerprint(&self) -> u64;
        /// Whether there is a handle besides those that the family holds.
        fn is_held(&self) -> bool;
    }
}
