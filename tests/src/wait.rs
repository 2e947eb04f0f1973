//! Waiting for another process to do something.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Long enough that only a failure reaches it.
const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Repeats `attempt` until it yields a value.
///
/// # Errors
/// The attempt's own error, at once; or that `what` did not happen within a minute.
pub async fn eventually<T>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let give_up = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = attempt().await? {
            return Ok(value);
        }
        if Instant::now() > give_up {
            bail!("{what}: not within {} seconds", DEADLINE.as_secs());
        }
        sleep(PAUSE).await;
    }
}
