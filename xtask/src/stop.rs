//! When a command that keeps something running has to stop: after a signal, or when the process that started it is gone.
//! Not here: what is stopped then.

use std::fs;
use std::future::pending;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Listens for the signals that end a program; from then on they no longer terminate this one, so that it can
/// stop its children first.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// Within a runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal; one that came earlier counts.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Waits for a signal, or for the end of standard input.
    pub async fn asked_or_left(&mut self) {
        tokio::select! {
            () = self.asked() => {}
            () = input_ends() => {}
        }
    }
}

/// Waits until the other end of standard input is closed.
///
/// Only for a pipe: reading a terminal would suspend a process in the background, and `/dev/null` is at its end at once.
async fn input_ends() {
    if !input_is_a_pipe() {
        return pending().await;
    }
    let (ended, told) = oneshot::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = told.await;
}

fn input_is_a_pipe() -> bool {
    fs::metadata("/dev/stdin").is_ok_and(|input| {
        let kind = input.file_type();
        kind.is_fifo() || kind.is_socket()
    })
}
