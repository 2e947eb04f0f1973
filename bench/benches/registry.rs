//! The metrics library beside prometheus-client, both in one run: time per call on one thread and on
//! two, and what a page of 10,000 series takes. Each row has a goal, and says where it is missed.
//!
//! Wall time depends on the machine. Both are measured in turns, in rounds short enough that most of them
//! are not interrupted, and of each the median round counts: in the fastest one, two threads may not have
//! met. Instructions are counted in `instructions`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::{self, Write};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::{counter, family, histogram};
use stats_core::registry::{Counter, DEFAULT_BOUNDS, Family, Format, Histogram, Registry};
use stats_core::{label_set, label_value};

/// How often each side of a row is measured.
const ROUNDS: u32 = 301;
/// Calls per thread in a round.
const CALLS: u32 = 20_000;
/// Label sets that exist already.
const KNOWN: u32 = 32;
/// New label sets in a round, of all threads.
const NEW: u32 = 4_000;
/// Series of a page.
const SERIES: u32 = 10_000;

label_value! {
    #[derive(Clone, Copy)]
    enum Method {
        Get = "GET",
        Post = "POST",
    }
}

label_set! {
    #[derive(Clone, Copy)]
    struct Route<'a> {
        method: Method,
        path: &'a str,
        code: u16,
    }
}

/// The same for prometheus-client, which wants to own its labels.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TheirRoute {
    method: TheirMethod,
    path: String,
    code: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
enum TheirMethod {
    Get,
    Post,
}

impl EncodeLabelValue for TheirMethod {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
        })
    }
}

type TheirCounters = family::Family<TheirRoute, counter::Counter>;

/// One route of many.
fn their_route(number: u32) -> TheirRoute {
    let method = [TheirMethod::Get, TheirMethod::Post][(number % 2) as usize].clone();
    let code = [200, 404, 503][(number % 3) as usize];
    TheirRoute {
        method,
        path: format!("/api/v1/items/{number}"),
        code,
    }
}

fn route(of: &TheirRoute) -> Route<'_> {
    let method = match of.method {
        TheirMethod::Get => Method::Get,
        TheirMethod::Post => Method::Post,
    };
    Route {
        method,
        path: &of.path,
        code: of.code,
    }
}

fn counters(registry: &Registry) -> Result<Family<Route<'static>, Counter>> {
    let builder = Family::builder("http_requests_total", "Requests served.");
    Ok(builder.register(registry)?)
}

/// A row of the table: the same work on both sides.
struct Row {
    name: String,
    ours: f64,
    theirs: f64,
    unit: &'static str,
    /// Ours at most this much of theirs.
    goal: f64,
}

fn main() -> Result<()> {
    let mut rows = Vec::new();
    for threads in [1, 2] {
        held_handle(threads, &mut rows)?;
        known_labels(threads, &mut rows)?;
        new_labels(threads, &mut rows)?;
        observe(threads, &mut rows);
    }
    page(&mut rows)?;
    print(&rows);
    Ok(())
}

fn held_handle(threads: u32, rows: &mut Vec<Row>) -> Result<()> {
    let ours = Registry::new().counter("c_total", "", &[])?;
    let theirs: counter::Counter = counter::Counter::default();
    let row = Calls::of("held handle", threads);
    rows.push(row.compare(
        |_| ours.inc(),
        |_| {
            theirs.inc();
        },
    ));
    Ok(())
}

fn known_labels(threads: u32, rows: &mut Vec<Row>) -> Result<()> {
    let ours = counters(&Registry::new())?;
    let theirs = TheirCounters::default();
    let routes: Vec<_> = (0..KNOWN).map(their_route).collect();
    for of in &routes {
        ours.get_or_create(&route(of));
        let _ = theirs.get_or_create(of);
    }
    let known = |call: u32| &routes[(call % KNOWN) as usize];
    let in_place = |call| {
        theirs.get_or_create(known(call)).inc();
    };
    let handle = |call| ours.get_or_create(&route(known(call))).inc();
    let row = Calls::of("known labels, in place: with, get_or_create", threads);
    rows.push(row.compare(
        |call| ours.with(&route(known(call)), Counter::inc),
        in_place,
    ));
    let row = Calls::of(
        "known labels, a handle: get_or_create, get_or_create_owned",
        threads,
    );
    rows.push(row.compare(handle, |call| {
        theirs.get_or_create_owned(known(call)).inc();
    }));
    // Not the same: theirs holds a lock until the guard is dropped. But it is what one writes.
    let row = Calls::of("known labels, get_or_create of both", threads);
    rows.push(row.compare(handle, in_place));
    Ok(())
}

fn new_labels(threads: u32, rows: &mut Vec<Row>) -> Result<()> {
    let routes: Vec<_> = (0..NEW).map(their_route).collect();
    let new = |call: u32| &routes[call as usize];
    let row = Calls {
        each: NEW / threads,
        ..Calls::of("new labels", threads)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let family = counters(&Registry::new())?;
        ours.push(row.time(&|call| family.get_or_create(&route(new(call))).inc()));
        let family = TheirCounters::default();
        theirs.push(row.time(&|call| {
            family.get_or_create(new(call)).inc();
        }));
    }
    rows.push(row.row(ours, theirs));
    Ok(())
}

fn observe(threads: u32, rows: &mut Vec<Row>) {
    let ours = Histogram::new(DEFAULT_BOUNDS);
    let theirs = histogram::Histogram::new(DEFAULT_BOUNDS);
    let value = |call: u32| f64::from(call % 1024) / 100.0;
    let row = Calls::of("observe, 11 buckets", threads);
    rows.push(row.compare(
        |call| ours.observe(value(call)),
        |call| theirs.observe(value(call)),
    ));
}

fn page(rows: &mut Vec<Row>) -> Result<()> {
    let registry = Registry::new();
    let ours = counters(&registry)?;
    let theirs = TheirCounters::default();
    let mut their_registry = prometheus_client::registry::Registry::default();
    their_registry.register("http_requests", "Requests served.", theirs.clone());
    for number in 0..SERIES {
        let of = their_route(number);
        ours.with(&route(&of), |counter| {
            counter.inc_by(u64::from(number) * 7919);
        });
        theirs.get_or_create(&of).inc_by(u64::from(number) * 7919);
    }
    let our_page = || registry.page(Format::OpenMetrics);
    let their_page = || {
        let mut page = String::new();
        let encoded = text::encode(&mut page, &their_registry);
        encoded.map(|()| page)
    };
    let (one, other) = (our_page().len(), their_page()?.len());
    println!("a page of {SERIES} series: {one} bytes here, {other} there");
    // Measured once a page was written before: the first sorts the series.
    let (ours, allocated) = counted(our_page);
    let (theirs, their_allocated) = counted(their_page);
    drop(ours);
    theirs.context("prometheus-client writes its page")?;
    let mut row = |name: &str, ours: f64, theirs: f64, unit| {
        rows.push(Row {
            name: format!("page of 10,000 series, {name}"),
            ours,
            theirs,
            unit,
            goal: 0.5,
        });
    };
    row("allocations", allocated.0, their_allocated.0, "");
    row(
        "bytes allocated",
        allocated.1 / 1e3,
        their_allocated.1 / 1e3,
        "kB",
    );
    for threads in [1, 2] {
        let calls = Calls {
            each: 1,
            ..Calls::of("", threads)
        };
        let measured = calls.compare(
            |_| drop(black_box(our_page())),
            |_| drop(black_box(their_page())),
        );
        let name = if threads == 1 {
            "one thread"
        } else {
            "two threads, one each"
        };
        row(name, measured.ours / 1e6, measured.theirs / 1e6, "ms");
    }
    Ok(())
}

/// Calls on threads that begin together.
struct Calls {
    name: &'static str,
    threads: u32,
    /// How many of each thread.
    each: u32,
}

impl Calls {
    fn of(name: &'static str, threads: u32) -> Self {
        Self {
            name,
            threads,
            each: CALLS,
        }
    }

    /// Measures both in turns.
    fn compare(&self, ours: impl Fn(u32) + Sync, theirs: impl Fn(u32) + Sync) -> Row {
        let rounds = (0..ROUNDS).map(|_| (self.time(&ours), self.time(&theirs)));
        let (ours, theirs) = rounds.unzip();
        self.row(ours, theirs)
    }

    /// How long the slowest thread took.
    fn time(&self, work: &(impl Fn(u32) + Sync)) -> Duration {
        let ready = AtomicU32::new(0);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let ready = &ready;
                    scope.spawn(move || {
                        let first = thread * self.each;
                        ready.fetch_add(1, Ordering::AcqRel);
                        // Not asleep: the last would be at work before the others are awake.
                        while ready.load(Ordering::Acquire) < self.threads {
                            thread::yield_now();
                        }
                        let start = Instant::now();
                        for call in first..first + self.each {
                            work(black_box(call));
                        }
                        start.elapsed()
                    })
                })
                .collect();
            let times = threads.into_iter().filter_map(|thread| thread.join().ok());
            times.max().unwrap_or_default()
        })
    }

    fn row(&self, ours: Vec<Duration>, theirs: Vec<Duration>) -> Row {
        let per_call = |mut times: Vec<Duration>| {
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            median.as_secs_f64() * 1e9 / f64::from(self.each)
        };
        Row {
            name: format!("{}; threads: {}", self.name, self.threads),
            ours: per_call(ours),
            theirs: per_call(theirs),
            unit: "ns",
            goal: 1.0,
        }
    }
}

fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "stats-core", "prometheus-client", "ratio", "goal", ""]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        // To the hundredth: what is finer is the machine's.
        let ratio = (row.ours / row.theirs * 100.0).round() / 100.0;
        let number = |value: f64| format!("{value:.1} {}", row.unit).trim_end().to_owned();
        table.add_row([
            row.name.clone(),
            number(row.ours),
            number(row.theirs),
            format!("{ratio:.2}"),
            format!("≤ {:.1}", row.goal),
            if ratio <= row.goal { "met" } else { "MISSED" }.to_owned(),
        ]);
    }
    println!("{table}");
}

/// What `work` returns, and how many allocations and bytes it took.
fn counted<T>(work: impl FnOnce() -> T) -> (T, (f64, f64)) {
    let before = (ALLOCATIONS.get(), BYTES.get());
    let result = work();
    let allocations = ALLOCATIONS.get().wrapping_sub(before.0);
    let bytes = BYTES.get().wrapping_sub(before.1);
    (result, (f64::from(allocations), f64::from(bytes)))
}

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
    static BYTES: Cell<u32> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: forwards to the system's allocator as it was called. What is not forwarded comes here
// through what is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get().wrapping_add(1));
        BYTES.set(BYTES.get().wrapping_add(layout.size() as u32));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}
