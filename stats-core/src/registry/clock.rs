//! Time: the clocks that a registry can be given, and a timer that a histogram observes.

use core::fmt::{self, Debug};
use core::time::Duration;

use super::histogram::Histogram;
use super::number::Shared;

/// Knows the time. Without `std`, the program has to bring one.
pub trait Clock {
    /// The time since a fixed point. For a [`Timer`] any will do; for when series were created it is the
    /// Unix epoch.
    fn now(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Duration {
        C::now(self)
    }
}

/// Time that never goes back, since the clock was made: for timers.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(std::time::Instant);

#[cfg(feature = "std")]
impl Default for MonotonicClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

#[cfg(feature = "std")]
impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Time since the Unix epoch, as the system has it: for when series were created.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct UnixClock;

#[cfg(feature = "std")]
impl Clock for UnixClock {
    fn now(&self) -> Duration {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap_or_default()
    }
}

/// A clock for all families.
#[derive(Clone)]
pub(super) struct SharedClock(Shared<dyn Clock + Send + Sync>);

impl SharedClock {
    pub fn new(clock: impl Clock + Send + Sync + 'static) -> Self {
        Self(Shared::new(clock))
    }

    pub fn now(&self) -> Duration {
        self.0.now()
    }
}

impl Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedClock")
    }
}

/// Observes, when it is dropped, the seconds since it was started.
#[derive(Debug)]
#[must_use = "a timer that is dropped at once measures nothing"]
pub struct Timer<'a, C: Clock> {
    histogram: Option<&'a Histogram>,
    clock: C,
    start: Duration,
}

impl Histogram {
    /// Starts a timer. Costs two looks at the clock and one observation.
    pub fn start_timer<C: Clock>(&self, clock: C) -> Timer<'_, C> {
        Timer {
            histogram: Some(self),
            start: clock.now(),
            clock,
        }
    }
}

impl<C: Clock> Timer<'_, C> {
    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.start)
    }

    /// Observes now, and returns the time since the start.
    pub fn stop(mut self) -> Duration {
        self.observe()
    }

    /// Ends without an observation.
    pub fn discard(mut self) {
        self.histogram = None;
    }

    fn observe(&mut self) -> Duration {
        let elapsed = self.elapsed();
        if let Some(histogram) = self.histogram.take() {
            histogram.observe(elapsed.as_secs_f64());
        }
        elapsed
    }
}

impl<C: Clock> Drop for Timer<'_, C> {
    fn drop(&mut self) {
        self.observe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    struct Hands(Cell<Duration>);

    impl Clock for Hands {
        fn now(&self) -> Duration {
            self.0.get()
        }
    }

    #[test]
    fn a_timer_observes_once_unless_it_is_discarded() {
        let clock = Hands(Cell::new(Duration::from_secs(5)));
        let histogram = Histogram::new([1.0]);
        let timers = [(); 3].map(|()| histogram.start_timer(&clock));
        clock.0.set(Duration::from_millis(5500));
        let [dropped, stopped, discarded] = timers;
        drop(dropped);
        assert_eq!(stopped.stop(), Duration::from_millis(500));
        discarded.discard();
        assert_eq!(histogram.buckets().last(), Some((f64::INFINITY, 2)));
        assert!((histogram.sum() - 1.0).abs() < 1e-9);
    }
}
