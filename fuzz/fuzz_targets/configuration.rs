//! Whatever a user writes as configuration: it is refused in one line, or a plugin counts each request with
//! it, in few lines of the log.
//!
//! `cargo xtask fuzz configuration` runs it for a while; `cargo fuzz run configuration` as long as one likes.

#![no_main]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};

use libfuzzer_sys::fuzz_target;
use stats_core::config::Config;
use stats_core::host::memory::{MemoryFacts, MemoryHost, MemoryMetrics};
use stats_core::host::{ListenerDirection, LocalProxy};
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::http::role::Role;
use stats_core::registry::Registry;

/// The most lines about one configuration: of its fields, and of its expressions, with a count of the rest
/// each; and that the limit on series is reached.
const MAX_LINES: usize = 2 * 9 + 1;
const REQUESTS: u64 = 3;

fuzz_target!(|input: &[u8]| {
    Lines::install();
    let (config, warnings) = match Config::parse(input) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.path.starts_with('$'), "{error}");
            assert_one_line(&error.to_string());
            return;
        }
    };
    warnings.iter().for_each(|warning| assert_one_line(warning));
    let prefix = &config.metrics.stat_prefix;
    let drops = config.metrics.overrides.iter().any(|entry| entry.drop);
    for direction in [ListenerDirection::Inbound, ListenerDirection::Outbound] {
        let registry: Arc<Mutex<Registry>> = Arc::default();
        let mut host = MemoryHost::new(MemoryMetrics::new(registry.clone()));
        host.direction = direction;
        let before = LINES.load(Ordering::Relaxed);
        let role = Role::Telemetry;
        let mut plugin = Plugin::configure(&mut host, role, LocalProxy::default(), input)
            .expect("the configuration was parsed before");
        for number in 0..REQUESTS {
            send(&mut host, &mut plugin, number);
        }
        let lines = LINES.load(Ordering::Relaxed) - before;
        assert!(lines <= MAX_LINES, "{lines} lines");
        let page = registry.lock().expect("no panic before").exposition();
        let counted = sum(&page, &format!("{prefix}_requests_total"));
        assert!(counted == REQUESTS || drops, "{counted} requests are counted\n{page}");
        plugin.release(&mut host);
        assert_eq!(host.expressions.held(), 0);
    }
});

/// Sends a request whose label set no other has.
fn send(host: &mut MemoryHost, plugin: &mut Plugin, number: u64) {
    host.request.set(":authority", format!("host-{number}.example"));
    host.request.set(":path", "/orders/7");
    host.facts = MemoryFacts {
        response_code: 200,
        duration: Some(4_200_000),
        request_bytes: 300,
        cluster: "inbound|9898||".into(),
        ..MemoryFacts::default()
    };
    let mut request = Request::default();
    plugin.on_request_headers(host, &mut request);
    plugin.on_response_headers(host, &mut request);
    plugin.on_log(host, &mut request);
}

/// The sum of all series of a counter.
fn sum(page: &str, counter: &str) -> u64 {
    let of_counter = page.lines().filter(|line| {
        let labels = line.strip_prefix(counter);
        labels.is_some_and(|labels| labels.starts_with(['{', ' ']))
    });
    of_counter.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn assert_one_line(text: &str) {
    assert!(!text.contains('\n'), "{text}");
}

/// How many lines were logged.
static LINES: AtomicUsize = AtomicUsize::new(0);

/// Counts lines, and looks whether each is one.
struct Lines;

impl Lines {
    fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Self).expect("there is no other");
            log::set_max_level(log::LevelFilter::Trace);
        });
    }
}

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        assert_one_line(&record.args().to_string());
        LINES.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&self) {}
}
