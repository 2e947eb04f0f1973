//! The compiled module keeps to the budget.

#![allow(clippy::unwrap_used, reason = "what is measured is set up by tests")]

use std::sync::LazyLock;

use bench::budget;
use bench::engine::{Compiled, Cost};
use bench::recorded::HostCall;
use bench::scenarios::{
    BY_AUTHORITY, EVERY_OPTION, INBOUND, OUTBOUND, STATS_ALONE, STEADY, Scenario,
};

const REQUESTS: u64 = 100;

static MODULE: LazyLock<Compiled> = LazyLock::new(|| Compiled::load().unwrap());

fn steady(scenario: &Scenario) -> Cost {
    let mut vm = MODULE.start(scenario).unwrap();
    vm.cost(REQUESTS, |_, _| {}).unwrap()
}

/// A limit on instructions, for the std that the module was built with.
fn as_built(limit: u64) -> u64 {
    if MODULE.has_panic_messages() {
        limit + limit * budget::PERCENT_FOR_PANIC_MESSAGES / 100
    } else {
        limit
    }
}

#[track_caller]
fn keeps_within(what: &str, of_all_requests: u64, limit: u64) {
    let each = of_all_requests.div_ceil(REQUESTS);
    assert!(each <= limit, "{what}: {each} per request, at most {limit}");
}

#[test]
fn a_steady_request_makes_few_calls_into_the_proxy() {
    for (scenario, limit) in [
        (INBOUND, budget::INBOUND_CALLS),
        (OUTBOUND, budget::OUTBOUND_CALLS),
    ] {
        keeps_within(scenario.name, steady(&scenario).calls.total(), limit);
    }
}

#[test]
fn a_steady_request_evaluates_one_expression() {
    for scenario in [INBOUND, OUTBOUND, STATS_ALONE] {
        let evaluations = steady(&scenario).calls.of(HostCall::Evaluate);
        keeps_within(scenario.name, evaluations, budget::EVALUATIONS);
    }
}

#[test]
fn a_steady_request_allocates_nothing() {
    for scenario in STEADY {
        let allocations = steady(&scenario).allocations;
        keeps_within(scenario.name, allocations, budget::ALLOCATIONS);
    }
}

#[test]
fn a_steady_request_takes_few_instructions() {
    for (scenario, limit) in [
        (INBOUND, budget::INBOUND_FUEL),
        (OUTBOUND, budget::OUTBOUND_FUEL),
    ] {
        keeps_within(scenario.name, steady(&scenario).fuel, as_built(limit));
    }
}

#[test]
fn the_module_makes_the_calls_of_the_core_and_no_others() {
    for scenario in STEADY {
        let mut core = scenario.in_core().unwrap();
        let before = core.proxy.calls();
        for _ in 0..REQUESTS {
            core.request();
        }
        let calls = core.proxy.calls().since(&before);
        assert_eq!(steady(&scenario).calls, calls, "{}", scenario.name);
    }
}

#[test]
fn a_connection_costs_little_whatever_passes_on_it() {
    for scenario in [INBOUND, OUTBOUND] {
        let mut vm = MODULE.start(&scenario).unwrap();
        vm.connections(1, 1).unwrap();
        let cost = vm.connections(REQUESTS, 0).unwrap();
        let Cost {
            calls,
            callbacks,
            allocations,
            ..
        } = cost;
        keeps_within(scenario.name, calls.total(), budget::CONNECTION_CALLS);
        keeps_within(scenario.name, callbacks, budget::CONNECTION_CALLBACKS);
        keeps_within(scenario.name, allocations, budget::ALLOCATIONS);
        assert_eq!(
            calls.of(HostCall::Record),
            4 * REQUESTS,
            "{}: opened, closed and both kinds of bytes",
            scenario.name
        );
        let of_data = vm.connections(REQUESTS, 1).unwrap().calls.total() - calls.total();
        keeps_within(scenario.name, of_data, budget::FIRST_CHUNKS_CALLS);
        let labels = vm.last_defined();
        assert!(labels.contains("request_protocol=.=tcp;"), "{labels}");
        assert!(labels.contains("source_principal=.=spiffe://"), "{labels}");
    }
}

#[test]
fn a_chunk_is_passed_on_without_being_looked_at() {
    const MORE: u32 = 9;
    for scenario in [INBOUND, OUTBOUND] {
        let mut vm = MODULE.start(&scenario).unwrap();
        vm.connections(1, 1).unwrap();
        let one = vm.connections(1, 1).unwrap();
        let more = vm.connections(1, 1 + MORE).unwrap();
        assert_eq!(more.calls, one.calls, "{}", scenario.name);
        assert_eq!(more.allocations, one.allocations, "{}", scenario.name);
        let chunks = 2 * u64::from(MORE);
        assert_eq!(more.callbacks - one.callbacks, chunks, "{}", scenario.name);
        let fuel = (more.fuel - one.fuel).div_ceil(chunks);
        let limit = as_built(budget::CHUNK_FUEL);
        assert!(
            fuel <= limit,
            "{}: {fuel} per chunk, at most {limit}",
            scenario.name
        );
    }
}

#[test]
fn what_is_measured_is_a_request_about_which_everything_is_known() {
    for scenario in [INBOUND, OUTBOUND, STATS_ALONE, EVERY_OPTION] {
        let vm = MODULE.start(&scenario).unwrap();
        let labels = vm.last_defined();
        assert!(labels.contains("response_code=.=200;"), "{labels}");
        assert!(labels.contains("spiffe://"), "{labels}");
        // Not for a client to tell, as in Istio.
        let told = labels.replace("connection_security_policy=.=unknown;", "");
        assert!(!told.contains("=.=unknown;"), "{labels}");
    }
}

#[test]
fn the_module_is_small() {
    let size = MODULE.size();
    let limit = if MODULE.has_panic_messages() {
        budget::MODULE_BYTES_WITH_PANIC_MESSAGES
    } else {
        budget::MODULE_BYTES
    };
    assert!(size <= limit, "{size} bytes, at most {limit}");
}

/// The proxy enters the module for each callback that is exported, so each one more costs every request.
#[test]
fn the_module_exports_what_it_needs_and_nothing_else() {
    let expected = [
        "memory",
        "mixerless_allocations",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_downstream_data",
        "proxy_on_log",
        "proxy_on_memory_allocate",
        "proxy_on_new_connection",
        "proxy_on_request_headers",
        "proxy_on_response_headers",
        "proxy_on_tick",
        "proxy_on_upstream_data",
    ];
    let mut exports = MODULE.functions_and_memories();
    exports.sort_unstable();
    assert_eq!(exports, expected);
}

#[test]
fn a_label_set_takes_little_memory() {
    const SETS: u64 = 9_999;
    let mut vm = MODULE.start(&BY_AUTHORITY).unwrap();
    let before = vm.memory_bytes();
    let cost = vm.cost(SETS, |proxy, number| proxy.set_authority(number + 1));
    let defined = cost.unwrap().calls.of(HostCall::Define);
    assert_eq!(defined, 4 * SETS, "each authority makes a label set");
    let each = (vm.memory_bytes() - before).div_ceil(SETS);
    let limit = budget::LABEL_SET_BYTES;
    assert!(each <= limit, "{each} bytes, at most {limit}");
}

/// Ticks come early until all are looked at.
#[test]
fn requests_that_are_never_logged_leave_nothing_behind() {
    let mut vm = MODULE.start(&INBOUND).unwrap();
    let mut pass = || {
        for _ in 0..2_000 {
            vm.drop_request().unwrap();
        }
        for _ in 0..20 {
            vm.tick().unwrap();
        }
        vm.memory_bytes()
    };
    let used: Vec<u64> = (0..60).map(|_| pass()).collect();
    assert_eq!(used[2], used[59], "{used:?}");
}

/// Changes faster than a tick keep it from ever coming.
#[test]
fn plugins_that_were_replaced_leave_nothing_behind_without_a_tick() {
    let mut vm = MODULE.start(&INBOUND).unwrap();
    let mut pass = || {
        vm.replace_plugin().unwrap();
        vm.cost(1, |_, _| {}).unwrap();
        vm.memory_bytes()
    };
    let used: Vec<u64> = (0..1_000).map(|_| pass()).collect();
    assert_eq!(used[3], used[999], "{used:?}");
}

/// The proxy keeps each number that it gives out.
#[test]
fn a_plugin_that_replaces_another_asks_for_no_metric_again() {
    let mut vm = MODULE.start(&BY_AUTHORITY).unwrap();
    let mut defined = || {
        let cost = vm.cost(1, |proxy, _| proxy.set_authority(1)).unwrap();
        vm.replace_plugin().unwrap();
        cost.calls.of(HostCall::Define)
    };
    assert_eq!([(); 3].map(|()| defined()), [4, 0, 0]);
}

#[test]
fn plugins_that_were_replaced_leave_nothing_behind() {
    let mut vm = MODULE.start(&INBOUND).unwrap();
    let mut pass = || {
        vm.replace_plugin().unwrap();
        vm.cost(1, |_, _| {}).unwrap();
        vm.tick().unwrap();
        vm.memory_bytes()
    };
    // The recorded proxy has room for the expressions of so many.
    let used: Vec<u64> = (0..30).map(|_| pass()).collect();
    assert_eq!(used[3], used[29], "{used:?}");
}
