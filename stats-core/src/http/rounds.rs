//! Which of the open requests and connections are looked at on a tick: each in its turn, and not more at once
//! than a worker bears that serves others meanwhile. What is done with one is not decided here.

use alloc::vec::Vec;

/// The most that are looked at on one tick. Each takes some 10 µs, so that of the 10 ms between
/// [early ticks](super::EARLY_TICK) nine are left.
const AT_A_TIME: usize = 100;

/// Goes round the open requests and connections of a plugin, by the numbers that a host has for them.
#[derive(Debug, Default)]
pub struct Rounds {
    /// Those that are still to be looked at.
    ahead: Vec<u32>,
    /// Whether they are to be reported, or only looked at.
    reports: bool,
    /// Whether a report became due while a round was not over.
    is_late: bool,
    /// How many more are looked at on this tick.
    left: usize,
}

impl Rounds {
    /// A tick has come.
    pub fn on_tick(&mut self) {
        self.left = AT_A_TIME;
    }

    /// A round is due, and maybe a report. If the last one is not over, it comes first.
    pub fn begin(&mut self, open: impl Iterator<Item = u32>, reports: bool) {
        self.is_late |= reports;
        if self.is_over() {
            self.ahead.extend(open);
            self.reports = core::mem::take(&mut self.is_late);
        }
    }

    /// Whether all have been looked at.
    pub fn is_over(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Whether those of this round are to be reported.
    pub fn reports(&self) -> bool {
        self.reports
    }

    /// The one that is to be looked at next; `None` where this tick has seen enough. It may have ended.
    pub fn next_open(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        self.ahead.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(rounds: &mut Rounds) -> usize {
        rounds.on_tick();
        core::iter::from_fn(|| rounds.next_open()).count()
    }

    #[test]
    fn each_has_its_turn_and_so_many_at_a_time() {
        let mut rounds = Rounds::default();
        rounds.begin(0..250, true);
        let seen: Vec<_> = (0..4).map(|_| tick(&mut rounds)).collect();
        assert_eq!(seen, [100, 100, 50, 0]);
        assert!(rounds.reports() && rounds.is_over());
    }

    #[test]
    fn a_round_waits_for_the_last_and_a_report_is_not_forgotten() {
        let mut rounds = Rounds::default();
        rounds.begin(0..150, false);
        assert_eq!(tick(&mut rounds), 100);
        rounds.begin(0..150, true);
        rounds.begin(0..150, false);
        assert!(!rounds.reports(), "this one only looks");
        assert_eq!(tick(&mut rounds), 50);
        rounds.begin(0..150, false);
        assert!(rounds.reports());
        assert_eq!(tick(&mut rounds), 100);
        assert_eq!(tick(&mut rounds), 50);
        rounds.begin(0..1, false);
        assert!(!rounds.reports());
    }
}
