//! What a request may cost: the limits that benchmarks and tests hold the code to. Where a change
//! needs more, it changes the limit as well, visibly.
//!
//! Only the numbers are here. Those of the module are checked by `bench/tests/budget.rs`, those of the native module by
//! `bench/tests/native_module.rs`, and instructions of native code by `cargo bench --bench instructions`. Numbers of instructions are some 5 % above what
//! was measured: another compiler or C library does not come out exactly the same.

/// Calls into the proxy for a steady inbound request.
pub const INBOUND_CALLS: u64 = 11;
/// Calls into the proxy for a steady outbound request.
pub const OUTBOUND_CALLS: u64 = 12;
/// Expressions evaluated for a steady request.
pub const EVALUATIONS: u64 = 1;
/// Allocations in the module for a steady request.
pub const ALLOCATIONS: u64 = 0;

/// WebAssembly instructions for a steady inbound request.
pub const INBOUND_FUEL: u64 = 4_820;
/// WebAssembly instructions for a steady outbound request.
pub const OUTBOUND_FUEL: u64 = 5_460;

/// Calls into the proxy for a TCP connection whose labels are known, whatever passes on it.
pub const CONNECTION_CALLS: u64 = 12;
/// Entries into the module for a TCP connection, other than for memory: it begins, it is one of TCP, it
/// ends. One more is for each chunk of data, whoever sends it.
pub const CONNECTION_CALLBACKS: u64 = 3;
/// Calls into the proxy for the first chunks from both sides, where no exchange is among them.
pub const FIRST_CHUNKS_CALLS: u64 = 1;
/// WebAssembly instructions for another chunk, about which no call is made.
pub const CHUNK_FUEL: u64 = 136;

/// The size of the module's file in bytes. A proxy compiles all of it before it starts. Some 11,000 are
/// the exchange over TCP, and as many the label sets that wait for their series.
pub const MODULE_BYTES: u64 = 256_000;
/// The same for a module with a std that came compiled, from rustup: that one cannot leave out
/// panic messages.
pub const MODULE_BYTES_WITH_PANIC_MESSAGES: u64 = 285_000;
/// By how many percent such a module may exceed the limits on its instructions: each place that may
/// panic takes a little longer.
pub const PERCENT_FOR_PANIC_MESSAGES: u64 = 20;
/// Memory of the module for one more label set, in bytes. Some 90 are the numbers of its metrics, for a plugin
/// that replaces this one.
pub const LABEL_SET_BYTES: u64 = 540;

/// Calls of the native module into Envoy for a steady inbound request.
pub const NATIVE_INBOUND_CALLS: u64 = 20;
/// Calls of the native module into Envoy for a steady outbound request.
pub const NATIVE_OUTBOUND_CALLS: u64 = 20;
/// Calls of the native module into Envoy for a steady request behind an exchange.
pub const NATIVE_STATS_ALONE_CALLS: u64 = 15;
/// Instructions of the native module for a steady inbound request, those of a recorded Envoy included.
pub const NATIVE_INBOUND_INSTRUCTIONS: u64 = 4_010;
/// The same for a steady outbound request.
pub const NATIVE_OUTBOUND_INSTRUCTIONS: u64 = 3_660;
/// The same for a steady request behind an exchange.
pub const NATIVE_STATS_ALONE_INSTRUCTIONS: u64 = 3_080;
/// The same for a steady request with everything on that needs no CEL.
pub const NATIVE_EVERY_OPTION_INSTRUCTIONS: u64 = 5_330;
/// The same for a request that makes a new series of each metric.
pub const NATIVE_NEW_SERIES_INSTRUCTIONS: u64 = 79_500;

/// Native instructions of the core for a steady inbound request. Some 300 are of the host in memory, which
/// keeps the headers that are set, as a proxy does.
pub const INBOUND_INSTRUCTIONS: u64 = 2_100;
/// Native instructions of the core for a steady outbound request.
pub const OUTBOUND_INSTRUCTIONS: u64 = 2_260;
/// Native instructions of the core for a steady request behind an exchange.
pub const STATS_ALONE_INSTRUCTIONS: u64 = 1_350;
/// Native instructions of the core for a steady request with everything on.
pub const EVERY_OPTION_INSTRUCTIONS: u64 = 3_820;
/// Native instructions of the core for a request that makes a new series of each metric.
pub const NEW_SERIES_INSTRUCTIONS: u64 = 60_300;
/// Native instructions of the core for a request of a peer that is not in the cache.
pub const NEW_PEER_INSTRUCTIONS: u64 = 36_700;
/// Native instructions to read an operator's configuration.
pub const CONFIGURATION_INSTRUCTIONS: u64 = 99_000;
/// Native instructions to read a configuration of 500 entries.
pub const LARGE_CONFIGURATION_INSTRUCTIONS: u64 = 10_200_000;
/// Native instructions to write a page of 1,000 series: the first, which also sorts them, because who makes a
/// series does not wait for the list of them.
pub const EXPOSITION_INSTRUCTIONS: u64 = 2_950_000;

/// A thousand increments by a held handle of the metrics library.
pub const HELD_HANDLE_INSTRUCTIONS: u64 = 6_100;
/// A thousand increments by labels that have a series.
pub const KNOWN_LABELS_INSTRUCTIONS: u64 = 282_000;
/// A thousand increments by labels that get a series. The hash is seeded anew in each run, which moves this a little.
pub const NEW_LABELS_INSTRUCTIONS: u64 = 1_960_000;
/// A thousand observations by a held handle of a histogram with 11 buckets.
pub const OBSERVE_INSTRUCTIONS: u64 = 69_500;
