//! How much of a worker's time goes into the definition of series: a share of it, and a little at once.
//!
//! A proxy whose metrics have no labels cuts them out of names, at some milliseconds for a label set,
//! during which the worker serves nobody. Whoever can cause new label sets must not be able to take
//! the worker by it.

/// What may be defined at once, in nanoseconds: some fifty label sets, so that a start sees no
/// difference. With twice as much, of 700 requests of an honest client beside a flood of 5 seconds more
/// than one in a hundred fell into it.
const BURST: i64 = 250_000_000;
/// The longest time that one definition is held to have taken, in nanoseconds: a clock may be set
/// forward meanwhile.
const LONGEST: i64 = 1_000_000_000;
/// All of the worker's time: nothing waits.
const ALL: u8 = 100;

/// The time that one worker has for definitions. It may be overdrawn by one of them.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionBudget {
    /// What is left, in nanoseconds.
    left: i64,
    /// When it was last filled, in nanoseconds.
    filled_at: u64,
}

impl Default for DefinitionBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl DefinitionBudget {
    /// What may be defined at once is left.
    pub const fn new() -> Self {
        Self {
            left: BURST,
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
        let share = elapsed.saturating_mul(i64::from(percent));
        self.left = self.left.saturating_add(share).min(BURST);
        self.left > 0 || percent >= ALL
    }

    /// A definition took so long, in nanoseconds.
    pub fn spend(&mut self, nanoseconds: u64) {
        let spent = i64::try_from(nanoseconds).unwrap_or(LONGEST).min(LONGEST);
        self.left = self.left.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// How many definitions of so many milliseconds a worker makes in so many, that begins at some time.
    fn definitions(percent: u8, each: u64, span: u64) -> u64 {
        let mut budget = DefinitionBudget::default();
        let (mut now, mut made) = (1_700_000_000_000 * MS, 0);
        let end = now + span * MS;
        while now < end {
            if budget.has_time(now, percent) {
                now += each * MS;
                budget.spend(each * MS);
                made += 1;
            } else {
                now += MS;
            }
        }
        made
    }

    #[test]
    fn a_share_of_the_time_goes_into_definitions() {
        for (percent, each) in [(10, 5), (10, 42), (1, 5), (50, 1)] {
            let spent = each * definitions(percent, each, 100_000);
            // So many milliseconds of 100 seconds, and what may be at once; one more may have begun.
            let share = 1_000 * u64::from(percent) + 250;
            assert!(
                (share - each..=share + each).contains(&spent),
                "{spent} of {share}"
            );
        }
        assert_eq!(definitions(100, 5, 1_000), 200, "all of it");
    }

    #[test]
    fn a_clock_that_is_set_takes_and_gives_little() {
        let mut budget = DefinitionBudget::default();
        let now = 1_700_000_000_000 * MS;
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
