//! A run in stages: a heading for each, its time, and a table at the end.
//! Not here: what the stages do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// One part of a run.
pub struct Stage<'a> {
    name: String,
    work: Box<dyn FnOnce() -> Result<()> + 'a>,
}

impl<'a> Stage<'a> {
    /// A stage called `name` that does `work`.
    pub fn new(name: impl Into<String>, work: impl FnOnce() -> Result<()> + 'a) -> Self {
        Self {
            name: name.into(),
            work: Box::new(work),
        }
    }
}

/// Does one stage after the other up to the first that fails, then prints the table.
pub fn run(stages: Vec<Stage>) -> Result<()> {
    let mut rows = Vec::new();
    let mut outcome = Ok(());
    for Stage { name, work } in stages {
        if outcome.is_err() {
            rows.push(StageOutcome::skipped(name));
            continue;
        }
        println!("\n=== {name}");
        let started = Instant::now();
        outcome = work().with_context(|| name.clone());
        let row = StageOutcome::done(name, outcome.is_ok(), started.elapsed());
        println!("=== {}: {}, {} s", row.name, row.result, row.seconds);
        rows.push(row);
    }
    print(&rows);
    outcome
}

/// A line of the table.
struct StageOutcome {
    name: String,
    result: &'static str,
    seconds: String,
}

impl StageOutcome {
    fn done(name: String, good: bool, time: Duration) -> Self {
        Self {
            name,
            result: if good { "ok" } else { "FAILED" },
            seconds: format!("{:.1}", time.as_secs_f32()),
        }
    }

    fn skipped(name: String) -> Self {
        Self {
            name,
            result: "not run",
            seconds: "-".to_owned(),
        }
    }
}

fn print(rows: &[StageOutcome]) {
    let names = rows.iter().map(|row| row.name.len());
    let width = names.max().unwrap_or_default();
    println!("\n{:width$}  {:7}  seconds", "stage", "result");
    for row in rows {
        println!("{:width$}  {:7}  {:>7}", row.name, row.result, row.seconds);
    }
}
