//! A check and its result, as a person sees it.
//! Not here: what is checked.

use anyhow::Result;
use console::style;

/// One check.
pub struct Check {
    /// What should hold.
    pub claim: String,
    /// Whether it holds; the error has what was found instead.
    pub result: Result<()>,
}

impl Check {
    /// Prints one line, and for a failure a second one with the error.
    pub fn print(&self) {
        match &self.result {
            Ok(()) => println!("  {}  {}", style("✓").green(), self.claim),
            Err(error) => println!("  {}  {}\n       {error:#}", style("✗").red(), self.claim),
        }
    }
}
