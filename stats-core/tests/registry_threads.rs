//! Families that threads share.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Barrier;
use std::thread;

use stats_core::label_set;
use stats_core::registry::{
    Counter, Dynamic, Family, Format, Histogram, MonotonicClock, Registry, UnixClock,
};

label_set! {
    struct Client<'a> {
        client: &'a str,
    }
}

const THREADS: usize = 4;
const ROUNDS: usize = 500;

/// Runs `work` on all threads at once.
fn together(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (work, barrier) = (&work, &barrier);
            scope.spawn(move || {
                barrier.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn totals_are_exact_where_threads_race_for_the_last_places() {
    let registry = Registry::new();
    let family = Family::<Client, Counter>::builder("c", "")
        .limit(10, &Client { client: "overflow" })
        .register(&registry)
        .unwrap();
    together(|thread| {
        for round in 0..ROUNDS {
            let client = ((round + thread) % 40).to_string();
            family.get_or_create(&Client { client: &client }).inc();
        }
    });
    let mut series = BTreeMap::new();
    family.retain(|one| {
        series.insert(one.labels().next().unwrap().1, one.metric().get());
        true
    });
    assert_eq!(series.len(), 11, "{series:?}");
    let total: u64 = series.values().sum();
    assert_eq!(total, u64::try_from(THREADS * ROUNDS).unwrap());
}

#[test]
fn what_is_recorded_while_others_come_and_go_is_counted() {
    let registry = Registry::new().with_created(UnixClock);
    let family = Family::<Client, Histogram>::builder("h", "")
        .buckets([1.0])
        .register(&registry)
        .unwrap();
    let counted = family.get_or_create(&Client { client: "stays" });
    together(|thread| {
        for round in 0..ROUNDS {
            match thread {
                0 => family.retain(|series| series.labels().any(|(_, value)| value == "stays")),
                1 => {
                    let page = registry.page(Format::OpenMetrics);
                    assert!(page.ends_with("# EOF\n"));
                }
                _ => {
                    let client = round.to_string();
                    family.with(&Client { client: &client }, |histogram| {
                        histogram.observe(0.5);
                    });
                    family.with(&Client { client: "stays" }, |histogram| {
                        histogram.observe(0.5);
                    });
                }
            }
        }
    });
    let all = u64::try_from(2 * ROUNDS).unwrap();
    assert_eq!(counted.buckets().last(), Some((f64::INFINITY, all)));
}

#[test]
fn the_same_metric_is_registered_by_all_threads_at_once() {
    let registry = Registry::new();
    together(|_| {
        for round in 0..100 {
            let name = format!("c{round}");
            registry.counter(&name, "", &[]).unwrap().inc();
        }
    });
    assert_eq!(registry.counter("c99", "", &[]).unwrap().get(), 4);
}

/// Who writes a page can count how much, in a family of that page.
struct Metered(Family<Dynamic, Counter>, String);

impl Write for Metered {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.1.push_str(text);
        let bytes = text.len().to_string();
        let labels = [("bytes", bytes.as_str())];
        self.0.with(&labels, Counter::inc).map_err(|_| fmt::Error)
    }
}

#[test]
fn no_lock_is_held_while_a_page_is_written() {
    let registry = Registry::new();
    let pieces = Family::<Dynamic, Counter>::builder("pieces_total", "Pieces.")
        .register(&registry)
        .unwrap();
    pieces.with(&[("bytes", "0")], Counter::inc).unwrap();
    let mut out = Metered(pieces, String::new());
    registry.expose(Format::Text, &mut out).unwrap();
    assert!(out.1.contains("pieces_total{bytes=\"0\"} 1"), "{}", out.1);
    assert!(out.0.len() > 1);
}

#[test]
fn a_timer_needs_only_a_clock() {
    let histogram = Histogram::new([60.0]);
    let clock = MonotonicClock::default();
    histogram.start_timer(&clock).stop();
    assert_eq!(histogram.buckets().next(), Some((60.0, 1)));
}
