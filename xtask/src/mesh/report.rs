//! The report of a story: its steps with their times, and its checks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Story;
use crate::check::Check;
use crate::steps;

/// The report of one story.
pub struct StoryReport {
    story: Story,
    begun: Instant,
    steps: Vec<(String, Duration)>,
    checks: usize,
    failed: usize,
}

impl StoryReport {
    /// Begins now.
    pub fn new(story: Story) -> Self {
        let report = Self {
            story,
            begun: Instant::now(),
            steps: Vec::new(),
            checks: 0,
            failed: 0,
        };
        println!("\n{}", report.name());
        report
    }

    /// Does one step and remembers its time.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let done = steps::bring(name, "…", work);
        self.steps.push((name.to_owned(), begun.elapsed()));
        done
    }

    /// Prints a check and counts it.
    pub fn check(&mut self, claim: impl Into<String>, result: Result<()>) {
        let check = Check {
            claim: claim.into(),
            result,
        };
        check.print();
        self.checks += 1;
        self.failed += usize::from(check.result.is_err());
    }

    /// The times.
    pub fn print(&self) {
        println!("\n{}", self.name());
        for (name, time) in &self.steps {
            println!("  {:7.1} s  {name}", time.as_secs_f32());
        }
        println!("  {:7.1} s  in all", self.begun.elapsed().as_secs_f32());
    }

    /// An error if any claim does not hold, or there was none.
    pub fn judge(&self) -> Result<()> {
        ensure!(self.checks > 0, "nothing was checked");
        ensure!(
            self.failed == 0,
            "{} of {} checks failed",
            self.failed,
            self.checks
        );
        println!("  {} checks passed", self.checks);
        Ok(())
    }

    fn name(&self) -> String {
        format!("the {} story", self.story.name())
    }
}
