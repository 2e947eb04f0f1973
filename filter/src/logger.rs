//! The proxy's log behind the `log` facade.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::abi::{self, LogLevel};

/// Writes each line to the proxy's log, where its origin has to show.
struct ProxyLog;

/// From now on what is logged goes to the proxy.
pub fn install() {
    // It is set once per VM; a second time changes nothing.
    let _ = log::set_logger(&ProxyLog);
    log::set_max_level(LevelFilter::Info);
}

impl Log for ProxyLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug | Level::Trace => LogLevel::Debug,
        };
        abi::log(level, &format!("mixerless: {}", record.args()));
    }

    fn flush(&self) {}
}
