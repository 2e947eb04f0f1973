//! Counters, gauges and infos: series of one number.

use core::fmt;
use core::marker::PhantomData;

use super::exposition::SeriesWriter;
use super::instrument::{FAMILY_HANDLES, Instrument, Record};
use super::names::Type;
use super::number::{Bits, Countable, Settable, Shared, SharedBits};

/// A handle to one counter series. Cheap to clone; all clones count into the same series, from any
/// thread.
///
/// A call is one atomic addition with `u64`, a compare-and-swap loop with `f64`.
#[derive(Clone, Debug)]
pub struct Counter<N: Countable = u64>(Shared<SharedBits>, PhantomData<N>);

/// A handle to one gauge series. Cheap to clone; all clones set the same series, from any thread.
///
/// A call is one atomic operation with `i64`; adding to an `f64` is a compare-and-swap loop.
#[derive(Clone, Debug)]
pub struct Gauge<N: Settable = i64>(Shared<SharedBits>, PhantomData<N>);

/// A series that is always 1: its labels tell something, such as a version.
#[derive(Clone, Debug, Default)]
pub struct Info(());

impl<N: Countable> Default for Counter<N> {
    fn default() -> Self {
        let cell = SharedBits::of(0);
        N::ZERO.set(&cell);
        Self(Shared::new(cell), PhantomData)
    }
}

impl<N: Countable> Counter<N> {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        N::ONE.add(&*self.0);
    }

    /// Adds some. A counter never falls: what is negative, or not a number, is not added.
    #[inline]
    pub fn inc_by(&self, value: N) {
        if value >= N::ZERO {
            value.add(&*self.0);
        }
    }

    /// The count.
    pub fn get(&self) -> N {
        N::get(&*self.0)
    }
}

impl<N: Settable> Default for Gauge<N> {
    fn default() -> Self {
        let cell = SharedBits::of(0);
        N::ZERO.set(&cell);
        Self(Shared::new(cell), PhantomData)
    }
}

impl<N: Settable> Gauge<N> {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: N) {
        value.set(&*self.0);
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        N::ONE.add(&*self.0);
    }

    /// Adds some, which may be negative.
    #[inline]
    pub fn inc_by(&self, value: N) {
        value.add(&*self.0);
    }

    /// Takes one away.
    #[inline]
    pub fn dec(&self) {
        N::ONE.subtract(&*self.0);
    }

    /// Takes some away, which may be negative.
    #[inline]
    pub fn dec_by(&self, value: N) {
        value.subtract(&*self.0);
    }

    /// The value.
    pub fn get(&self) -> N {
        N::get(&*self.0)
    }
}

macro_rules! recorded {
    ($metric:ident, $number:ident, $kind:expr) => {
        impl<N: $number> Instrument for $metric<N> {}

        impl<N: $number> Record for $metric<N> {
            type Options = ();
            const TYPE: Type = $kind;

            fn create((): &()) -> Self {
                Self::default()
            }

            fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result {
                to.value(self.get(), None)
            }

            fn fingerprint(&self) -> u64 {
                self.0.bits()
            }

            fn is_held(&self) -> bool {
                Shared::strong_count(&self.0) > FAMILY_HANDLES
            }
        }
    };
}

recorded!(Counter, Countable, Type::Counter);
recorded!(Gauge, Settable, Type::Gauge);

impl Instrument for Info {}

impl Record for Info {
    type Options = ();
    const TYPE: Type = Type::Info;

    fn create((): &()) -> Self {
        Self(())
    }

    fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result {
        to.value(1_u64, None)
    }

    fn fingerprint(&self) -> u64 {
        0
    }

    fn is_held(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_only_grows() {
        let counter = Counter::<f64>::default();
        for value in [0.5, -1.0, f64::NAN] {
            counter.inc_by(value);
        }
        counter.inc();
        assert!((counter.get() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_gauge_goes_up_and_down() {
        let gauge = Gauge::<i64>::default();
        gauge.set(5);
        gauge.inc_by(-7);
        gauge.dec_by(-1);
        gauge.dec();
        gauge.inc();
        assert_eq!(gauge.get(), -1);
        let gauge = Gauge::<f64>::default();
        gauge.set(0.5);
        gauge.dec_by(2.0);
        assert!((gauge.get() + 1.5).abs() < 1e-9);
    }
}
