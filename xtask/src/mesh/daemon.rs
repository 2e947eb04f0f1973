//! A program that keeps running: its log, its end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::paths;

/// A running program with its children, which are ended when the value is dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; its output goes to `NAME.log` in the story's log directory.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let log = log_file(name);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until `ready` says so.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !ready() {
            self.still_runs()?;
            if Instant::now() > deadline {
                bail!(
                    "{} is not ready after {} s; see {}",
                    self.name,
                    limit.as_secs(),
                    paths::shown(&self.log)
                );
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// An error once it has ended by itself.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} has ended ({status}); see {}",
                self.name,
                paths::shown(&self.log)
            ),
        }
    }

    /// Asks it to end, and ends it after `grace`.
    pub fn end(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.kill();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where this story's programs write.
static LOGS: OnceLock<PathBuf> = OnceLock::new();

/// Makes an empty directory for a story's logs.
pub fn make_logs(story: &str) -> Result<()> {
    let logs = LOGS.get_or_init(|| paths::mesh().join("logs").join(story));
    // There may be none.
    let _ = fs::remove_dir_all(logs);
    fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))
}

/// Where the program of that name writes.
pub fn log_file(name: &str) -> PathBuf {
    let logs = LOGS.get().cloned().unwrap_or_else(paths::mesh);
    logs.join(format!("{name}.log"))
}
