//! The output of setting up: one line per thing, `  ok  envoy 1.40.0`.
//! Not here: the stages of a test run, which are in `stages`.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Prints that `thing` was already there.
pub fn present(thing: &str) {
    eprintln!("  ok  {thing}");
}

/// Does `work` to install `thing`: with a spinner on a terminal, with plain lines otherwise.
pub fn bring<T>(thing: &str, how: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let spinner = spinner(format!("{thing}: {how}"));
    if spinner.is_hidden() {
        eprintln!("  ..  {thing}: {how}");
    }
    let result = work();
    spinner.finish_and_clear();
    let seconds = started.elapsed().as_secs_f32();
    let mark = if result.is_ok() { "ok" } else { "FAILED" };
    eprintln!("  {mark}  {thing} ({seconds:.1} s)");
    result
}

fn spinner(message: String) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("  {spinner}   {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
