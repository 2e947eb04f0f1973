//! How long the core takes, without a proxy: wall time, which depends on the machine. What is compared
//! from one change to the next are the instructions, in `instructions`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use bench::peers;
use bench::recorded::HostCall;
use bench::scenarios::{self, BY_AUTHORITY, ONE_CACHED_PEER, STEADY};
use criterion::Criterion;
use stats_core::config::Config;

/// After so many new series, a new worker: fewer than a worker has room for.
const SERIES_PER_WORKER: u64 = 5_000;

fn main() -> Result<()> {
    print_counts()?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    steady_requests(&mut criterion)?;
    new_series(&mut criterion);
    new_peer(&mut criterion)?;
    configuration(&mut criterion);
    exposition(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// What does not depend on the machine.
fn print_counts() -> Result<()> {
    const REQUESTS: u64 = 100;
    for scenario in STEADY {
        let mut core = scenario.in_core()?;
        let (calls, allocations) = (core.proxy.calls(), ALLOCATIONS.get());
        for _ in 0..REQUESTS {
            core.request();
        }
        let allocations = ALLOCATIONS.get() - allocations;
        let calls = core.proxy.calls().since(&calls);
        println!(
            "{}: {} calls into the proxy per request, {} of them evaluations; {allocations} allocations in {REQUESTS} requests",
            scenario.name,
            calls.total() / REQUESTS,
            calls.of(HostCall::Evaluate) / REQUESTS,
        );
    }
    Ok(())
}

fn steady_requests(criterion: &mut Criterion) -> Result<()> {
    for scenario in STEADY {
        let mut core = scenario.in_core()?;
        let name = format!("steady request, {}", scenario.name);
        criterion.bench_function(&name, |bencher| bencher.iter(|| core.request()));
    }
    Ok(())
}

#[expect(
    clippy::expect_used,
    reason = "what is timed cannot fail, or there would be nothing to time"
)]
fn new_series(criterion: &mut Criterion) {
    criterion.bench_function("new series of each metric", |bencher| {
        bencher.iter_custom(|series| {
            let mut time = Duration::ZERO;
            let mut left = series;
            while left > 0 {
                let now = left.min(SERIES_PER_WORKER);
                let mut core = BY_AUTHORITY.in_core().expect("the scenario works");
                let start = Instant::now();
                for number in 1..=now {
                    core.proxy.set_authority(number);
                    core.request();
                }
                time += start.elapsed();
                left -= now;
            }
            time
        });
    });
}

fn new_peer(criterion: &mut Criterion) -> Result<()> {
    let mut core = ONE_CACHED_PEER.in_core()?;
    let mut peers = [0, 1].map(peers::headers);
    criterion.bench_function("new peer", |bencher| {
        bencher.iter(|| {
            peers.swap(0, 1);
            core.proxy.set_peer(&peers[0]);
            core.request();
        });
    });
    Ok(())
}

fn configuration(criterion: &mut Criterion) {
    let large = scenarios::large_configuration();
    for (name, json) in [
        ("configuration", scenarios::CONFIGURATION),
        ("configuration, large", &large),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| Config::parse(black_box(json.as_bytes())));
        });
    }
}

fn exposition(criterion: &mut Criterion) -> Result<()> {
    let registry = scenarios::registry(10_000)?;
    criterion.bench_function("page of 10,000 series", |bencher| {
        bencher.iter(|| registry.exposition());
    });
    Ok(())
}

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: forwards to the system's allocator as it was called. What is not forwarded comes here
// through what is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}
