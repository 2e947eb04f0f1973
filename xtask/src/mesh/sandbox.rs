//! Namespaces for processes, network and mounts, in which this program starts itself again.
//!
//! The new process is the first one of the process namespace. When it ends, the kernel kills every other process there and
//! removes the networks and mounts: nothing is left behind, whatever ends the command. Not here: what runs inside.

use std::env;
use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::Runtime;

use super::{Story, network};
use crate::process::capture;
use crate::stop::Stop;

/// Runs a story inside, and waits for its end or for a signal.
pub fn run_again_inside(story: Story, keep: bool) -> Result<()> {
    let root = capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    ensure!(
        root,
        "network namespaces need root; run this command as root, for example in a virtual machine"
    );
    let runtime = Runtime::new()?;
    let mut stop = runtime.block_on(async { Stop::new() })?;
    let mut child = start(story, keep)?;
    let status = runtime.block_on(async {
        tokio::select! {
            status = ended(&mut child) => status.map(Some),
            () = stop.asked() => Ok(None),
        }
    })?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(_) => bail!("a story did not end well; nothing is left running"),
        None => {
            child.kill()?;
            child.wait()?;
            bail!("interrupted; nothing is left running")
        }
    }
}

/// Makes the namespaces ready, as the first process inside.
pub fn prepare() -> Result<()> {
    ensure!(
        std::process::id() == 1,
        "--inside is for the command itself: leave it out"
    );
    // Private to these namespaces: names of networks, locks, and all that the pods have as files.
    capture(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"]))?;
    fs::create_dir_all("/run/netns")?;
    network::make_node()
}

fn start(story: Story, keep: bool) -> Result<Child> {
    let program = env::current_exe().context("cannot find this program")?;
    // `--pdeathsig` ends it when this process is killed.
    let words = [
        "--pdeathsig",
        "KILL",
        "--",
        "unshare",
        "--net",
        "--mount",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ];
    let mut command = Command::new("setpriv");
    command
        .args(words)
        .arg(program)
        .args(["mesh", "--inside", "--story"])
        .arg(story.name())
        .args(keep.then_some("--keep"))
        .stdin(Stdio::null());
    command
        .spawn()
        .context("cannot start `setpriv`; install util-linux")
}

/// Waits for the end of a child without blocking: a signal may come first.
async fn ended(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the command is interrupted, which ends this process with everything else.
pub fn wait_for_the_end() -> ! {
    loop {
        thread::park();
    }
}
