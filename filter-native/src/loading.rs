//! How a filter gets its configuration, and what is in force where that cannot be used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::Level;
use stats_core::config::{Config, ConfigError};
use stats_core::http::families::families;
use stats_core::http::role::Role;

use crate::abi::stream::Stream;
use crate::abi::{EnvoyApi, log};
use crate::cel::NoCel;
use crate::filter::FilterConfig;
use crate::logger;
use crate::worker::Worker;

/// The configurations that are in use: what stays in force where the next one of the same name is refused.
static IN_USE: Mutex<Vec<Arc<FilterConfig>>> = Mutex::new(Vec::new());

/// The configuration of a filter with this name. One that cannot be used is a line in the log. Then the one
/// before it stays in force; without one, the filter does nothing, which is `None`. Envoy is not told: it
/// would not start, and telemetry must not do that.
pub fn load(name: &[u8], text: &[u8]) -> Option<Arc<FilterConfig>> {
    match checked(name, text) {
        Ok(config) => {
            in_use().push(Arc::clone(&config));
            Some(config)
        }
        Err(problem) => {
            log(Level::Error, &format!("mixerless: {problem}"));
            before(name)
        }
    }
}

/// Envoy has no listener and no request left of a filter with this configuration.
pub fn retire(config: &Arc<FilterConfig>) {
    if config.retire() {
        logger::start_over();
        in_use().retain(|known| !Arc::ptr_eq(known, config));
    }
}

fn checked(name: &[u8], text: &[u8]) -> Result<Arc<FilterConfig>, String> {
    let envoy = EnvoyApi::find().map_err(|missing| {
        format!(
            "this Envoy has no {missing}: the native module needs Envoy 1.40 or later, so this filter \
             counts nothing and lets all traffic pass; use the WebAssembly module here"
        )
    })?;
    let described = |error: ConfigError| error.to_string();
    let role = Role::named(name, "filter_name").map_err(described)?;
    let (parsed, _) = Config::parse(text).map_err(described)?;
    let config = Arc::new(FilterConfig::new(name, role, text));
    // On this thread, where no request comes: what there is to warn of is said now, and not with the
    // first request.
    Worker::enter(|worker| worker.load(&config, Stream::none(envoy)));
    families(&mut NoCel, &parsed);
    Ok(config)
}

/// The configuration that is in force under a name, if there is exactly one.
fn before(name: &[u8]) -> Option<Arc<FilterConfig>> {
    let in_use = in_use();
    let mut same = in_use.iter().filter(|config| config.name == name);
    let before = same.next()?;
    if same.any(|other| other.text != before.text) {
        return None;
    }
    before.share();
    Some(Arc::clone(before))
}

fn in_use() -> MutexGuard<'static, Vec<Arc<FilterConfig>>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}
