//! What stands between a panic and the proxy, which it would end: each hook runs in [`run`].

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use log::Level;

use crate::abi::log;

/// Whether no filter does anything any more: what it would use may be gone.
static ALL_BROKEN: AtomicBool = AtomicBool::new(false);

/// From now on no filter does anything.
pub fn give_up() {
    ALL_BROKEN.store(true, Ordering::Relaxed);
}

/// Whether something has panicked: it does nothing from then on.
#[derive(Debug, Default)]
pub struct Broken(AtomicBool);

impl Broken {
    /// Runs a hook of something that may be broken. `None` where it is, or is from here on.
    #[inline]
    pub fn run<T>(&self, hook: &'static str, body: impl FnOnce() -> T) -> Option<T> {
        if self.0.load(Ordering::Relaxed) || ALL_BROKEN.load(Ordering::Relaxed) {
            return None;
        }
        let result = run(hook, body);
        if result.is_none() {
            self.0.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// Runs a hook; `None` where it panicked, which is a line in the log.
#[inline]
pub fn run<T>(hook: &'static str, body: impl FnOnce() -> T) -> Option<T> {
    let guarded = || {
        on_purpose(hook);
        body()
    };
    panic::catch_unwind(AssertUnwindSafe(guarded)).ok()
}

/// From now on a panic of this module is one line in the proxy's log, whichever threads have the same one.
pub fn install() {
    static LAST: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        let line = format!(
            "mixerless: a panic at {}: {}; this filter counts nothing more and lets all traffic pass; \
             please report it",
            place.as_deref().unwrap_or("an unknown place"),
            message(info.payload()),
        );
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != line {
            log(Level::Error, &line);
            *last = line;
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Panics where a test wants it.
#[cfg(feature = "panic-on-purpose")]
#[expect(clippy::panic, reason = "that is what it is for")]
fn on_purpose(hook: &str) {
    if std::env::var_os("MIXERLESS_PANIC").is_some_and(|wanted| wanted == hook) {
        panic!("on purpose, in {hook}");
    }
}

#[cfg(not(feature = "panic-on-purpose"))]
#[inline]
const fn on_purpose(_hook: &str) {}
