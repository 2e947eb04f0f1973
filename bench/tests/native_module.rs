//! The native module keeps to the budget: what is loaded is the library that Envoy loads, built by `cargo xtask build`.

#![allow(
    clippy::unwrap_used,
    unsafe_code,
    reason = "what is measured is set up by tests, and the allocator of a library can only be counted from without"
)]

use std::cell::Cell;
use std::ffi::c_void;
use std::thread;

use bench::budget;
use bench::dynamic::DynamicModule;
use bench::dynamic::calls::{self, EnvoyCallback};
use bench::scenarios::{BY_AUTHORITY, INBOUND, OUTBOUND, STATS_ALONE, STEADY_WITHOUT_CEL};

const REQUESTS: u64 = 100;

#[test]
fn a_steady_request_makes_few_calls_into_envoy() {
    let found = [INBOUND, OUTBOUND, STATS_ALONE].map(|scenario| {
        let calls = on_a_worker(|| DynamicModule::start(&scenario).unwrap().calls(REQUESTS));
        let made: Vec<String> = EnvoyCallback::ALL
            .iter()
            .filter(|callback| calls.of(**callback) > 0)
            .map(|callback| format!("{} {}", calls.of(*callback) / REQUESTS, callback.name()))
            .collect();
        println!("{}: {}", scenario.name, made.join(", "));
        calls.total()
    });
    let limits = [
        budget::NATIVE_INBOUND_CALLS,
        budget::NATIVE_OUTBOUND_CALLS,
        budget::NATIVE_STATS_ALONE_CALLS,
    ];
    assert_eq!(found, limits.map(|limit| limit * REQUESTS));
}

#[test]
fn a_steady_request_allocates_nothing() {
    for scenario in STEADY_WITHOUT_CEL {
        let allocations = on_a_worker(|| {
            let mut module = DynamicModule::start(&scenario).unwrap();
            let before = ALLOCATIONS.get();
            for _ in 0..REQUESTS {
                module.request();
            }
            ALLOCATIONS.get() - before
        });
        assert_eq!(allocations, budget::ALLOCATIONS, "{}", scenario.name);
    }
}

/// Without this, the test above could count nothing at all.
#[test]
fn what_the_library_allocates_is_counted() {
    let mut module = DynamicModule::start(&BY_AUTHORITY).unwrap();
    let before = ALLOCATIONS.get();
    module.proxy.set_authority(1);
    let calls = module.calls(1);
    assert_eq!(
        calls.of(EnvoyCallback::Resolve),
        4,
        "a series of each metric"
    );
    assert!(ALLOCATIONS.get() - before > 25, "the values of 25 labels");
}

#[test]
fn what_is_measured_is_a_request_about_which_everything_is_known() {
    for scenario in [INBOUND, OUTBOUND, STATS_ALONE] {
        let (labels, calls) = on_a_worker(|| {
            let mut module = DynamicModule::start(&scenario).unwrap();
            (calls::last_labels(), module.calls(REQUESTS))
        });
        for known in ["200", "cart", "spiffe://cluster.local/ns/shop/sa/cart"] {
            assert!(
                labels.iter().any(|label| label.starts_with(known)),
                "{known}: {labels:?}"
            );
        }
        assert_eq!(calls.of(EnvoyCallback::Add), REQUESTS, "{}", scenario.name);
        assert_eq!(
            calls.of(EnvoyCallback::Observe),
            3 * REQUESTS,
            "{}",
            scenario.name
        );
    }
}

/// On a thread of its own: a worker that had other filters tells them of the next metrics cluster too.
fn on_a_worker<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// These take the place of the C library's own in the whole process, and with them of what the library allocates by.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller's promise.
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(many: usize, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller's promise.
    unsafe { __libc_calloc(many, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    count();
    // SAFETY: the caller's promise.
    unsafe { __libc_realloc(memory, size) }
}
