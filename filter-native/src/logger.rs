//! Envoy's log behind the `log` facade. Each worker has a plugin of its own and would say the same, but
//! one line says it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use crate::abi;

/// Writes each line to Envoy's log once, where its origin has to show.
struct EnvoyLog {
    said: Mutex<Option<HashSet<String>>>,
}

/// More different lines than a configuration can bring about; beyond, they are repeated.
const REMEMBERED: usize = 1_000;

static LOG: EnvoyLog = EnvoyLog {
    said: Mutex::new(None),
};

/// From now on what is logged goes to Envoy.
pub fn install() {
    // It is set once per library; a second time changes nothing.
    let _ = log::set_logger(&LOG);
    log::set_max_level(LevelFilter::Info);
}

/// What was said of a configuration that is gone is said of a new one again.
pub fn start_over() {
    LOG.said
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
}

impl EnvoyLog {
    fn is_new(&self, line: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.get_or_insert_default();
        said.len() >= REMEMBERED || said.insert(line.to_owned())
    }
}

impl Log for EnvoyLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("mixerless: {}", record.args());
        if self.is_new(&line) {
            abi::log(record.level(), &line);
        }
    }

    fn flush(&self) {}
}
