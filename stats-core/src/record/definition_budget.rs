//! How much of a worker's time goes into the definition of series: a share of it, and a little at once.
//!
//! A proxy whose metrics have no labels cuts them out of names, at some milliseconds for a label set,
//! during which the worker serves nobody. Whoever can cause new label sets must not be able to take
//! the worker by it.

/// What may be defined at once, in nanoseconds: some ten label sets, so that the first requests of a proxy are
/// on its page right after. Whoever asks meanwhile waits for so long.
const AT_ONCE: i64 = 50_000_000;
/// The share of the worker's time that goes into definitions while [`BURST`] lasts, in percent: one or two
/// definitions on a tick.
const BURST_PERCENT: u8 = 25;
/// What may be defined beyond the configured share, in nanoseconds: some fifty label sets, so that all series
/// of a start are there after a second.
const BURST: i64 = 250_000_000;
/// The longest time that one definition is held to have taken, in nanoseconds: a clock may be set
/// forward meanwhile.
const LONGEST: i64 = 1_000_000_000;
/// All of the worker's time: nothing waits.
const ALL: u8 = 100;

/// The time that one worker has for definitions. It may be overdrawn by one of them.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionBudget {
    /// What is left of [`AT_ONCE`], in nanoseconds.
    at_once: i64,
    /// What is left of [`BURST`], in nanoseconds.
    burst: i64,
    /// When both were last filled, in nanoseconds.
    filled_at: u64,
}

impl Default for DefinitionBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl DefinitionBudget {
    /// All that may be defined at once and in a burst is left.
    pub const fn new() -> Self {
        Self {
            at_once: AT_ONCE,
            burst: BURST,
            filled_at: 0,
        }
    }

    /// Whether there is time for a definition `now`, in nanoseconds, where `percent` of the worker's time
    /// may go into them.
    pub fn has_time(&mut self, now: u64, percent: u8) -> bool {
        // One that was set back gives nothing until it moves on.
        let elapsed = now.saturating_sub(self.filled_at);
        self.filled_at = now;
        let elapsed = i64::try_from(elapsed / 100).unwrap_or(i64::MAX);
        for (left, percent, most) in [
            (&mut self.at_once, percent.max(BURST_PERCENT), AT_ONCE),
            (&mut self.burst, percent, BURST),
        ] {
            let share = elapsed.saturating_mul(i64::from(percent));
            *left = left.saturating_add(share).min(most);
        }
        self.at_once.min(self.burst) > 0 || percent >= ALL
    }

    /// A definition took so long, in nanoseconds.
    pub fn spend(&mut self, nanoseconds: u64) {
        let spent = i64::try_from(nanoseconds).unwrap_or(LONGEST).min(LONGEST);
        self.at_once = self.at_once.saturating_sub(spent);
        self.burst = self.burst.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MS: u64 = 1_000_000;

    const START: u64 = 1_700_000_000_000 * MS;

    /// When definitions of so many milliseconds end that a worker makes in so many, in milliseconds.
    fn definitions(percent: u8, each: u64, span: u64) -> Vec<u64> {
        let mut budget = DefinitionBudget::default();
        let (mut now, mut ends) = (0, Vec::new());
        while now < span {
            if budget.has_time(START + now * MS, percent) {
                now += each;
                budget.spend(each * MS);
                ends.push(now);
            } else {
                now += 1;
            }
        }
        ends
    }

    #[test]
    fn a_share_of_the_time_goes_into_definitions() {
        for (percent, each) in [(10, 5), (10, 42), (1, 5), (50, 1)] {
            let spent = each * definitions(percent, each, 100_000).len() as u64;
            // So many milliseconds of 100 seconds, and a burst; one more may have begun.
            let share = 1_000 * u64::from(percent);
            let expected = share - each..=share + 250 + each;
            assert!(expected.contains(&spent), "{spent} of {share}");
        }
        assert_eq!(definitions(100, 5, 1_000).len(), 200, "all of it");
    }

    #[test]
    fn a_start_takes_a_second_and_lets_others_through_meanwhile() {
        // The series of fifty label sets, in parts of a request's wait.
        let ends = definitions(10, 1, 100_000);
        let until = |time: u64| ends.iter().filter(|end| **end <= time).count();
        assert_eq!(until(50), 50, "some ten label sets at once");
        for begin in (70..100_000).step_by(10) {
            let ten_ms = until(begin + 10) - until(begin);
            assert!(ten_ms <= 5, "{ten_ms} ms of ten from {begin} ms on");
        }
        assert!((250..=350).contains(&until(1_100)), "{}", until(1_100));
    }

    #[test]
    fn a_clock_that_is_set_takes_and_gives_little() {
        let mut budget = DefinitionBudget::default();
        let now = START;
        assert!(budget.has_time(now, 10));
        budget.spend(3_600_000 * MS);
        assert!(!budget.has_time(now, 10));
        assert!(!budget.has_time(now - 3_600_000 * MS, 10), "set back");
        assert!(!budget.has_time(now - 3_592_600 * MS, 10));
        assert!(
            budget.has_time(now - 3_592_400 * MS, 10),
            "7.6 seconds later"
        );
        assert!(budget.has_time(u64::MAX, 10), "set forward");
        for _ in 0..6 {
            budget.spend(100 * MS);
        }
        assert!(!budget.has_time(u64::MAX, 10), "no more than at once");
    }
}
