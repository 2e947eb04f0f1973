//! Child processes: how they run, and the error when they fail.
//! Not here: which commands exist and what they are for.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Runs `command` with its output shown as it comes.
pub fn show(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if status.success() {
        return Ok(());
    }
    bail!("`{}` {}", line(command), ended(status))
}

/// Runs `command` without showing its output, and returns its standard output; an error has its last lines.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut message = format!("`{}` {}", line(command), ended(output.status));
    for said in last_words(&output) {
        let _ = write!(message, "\n    {said}");
    }
    bail!(message)
}

/// Whether `command` can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Like [`succeeds`], for a command that may hang: it is killed after `limit`.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let silent = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = silent.spawn() else {
        return false;
    };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(100)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The command as one would type it at the repository's root, without its environment.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<String> = words.map(|word| paths::shown(Path::new(word))).collect();
    words.join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().display())
}

fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("failed with exit status {code}"),
        None => format!("was terminated by {status}"),
    }
}

/// The last lines of a failed command, which usually have the reason.
fn last_words(output: &Output) -> Vec<String> {
    let said = if output.stderr.trim_ascii().is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let start = lines.len().saturating_sub(12);
    lines[start..].iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_repeats_the_command_and_its_last_words() {
        let error = capture(&mut shell("echo gone wrong >&2; exit 3")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("exit status 3"), "{message}");
        assert!(message.ends_with("    gone wrong"), "{message}");
    }

    #[test]
    fn a_signal_is_named() {
        let error = show(&mut shell("kill -9 $$")).unwrap_err();
        assert!(
            error.to_string().contains("was terminated by signal: 9"),
            "{error}"
        );
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let limit = Duration::from_millis(200);
        assert!(!succeeds_within(&mut shell("exec sleep 60"), limit));
        assert!(succeeds_within(&mut shell("true"), Duration::from_mins(1)));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = show(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }
}
