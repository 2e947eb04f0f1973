//! What the probes of the Envoy benchmark call is what the module calls.

#![allow(clippy::unwrap_used, reason = "what is measured is set up by tests")]

use bench::engine::Compiled;
use bench::envoy::probe;
use bench::envoy::steady;
use bench::recorded::HostCall;
use bench::scenarios::{INBOUND, OUTBOUND, Scenario};
use harness::SidecarDirection;

/// How often a steady request of the core makes this call.
fn made(scenario: &Scenario, call: HostCall) -> usize {
    let mut core = scenario.in_core().unwrap();
    let before = core.proxy.calls();
    core.request();
    usize::try_from(core.proxy.calls().since(&before).of(call)).unwrap()
}

#[track_caller]
fn has_the_calls(direction: SidecarDirection, scenario: &Scenario) {
    let probe = steady::all(direction);
    let calls = [
        probe.on_request_headers,
        probe.on_response_headers,
        probe.on_log,
    ]
    .concat();
    let listed = |kind: HostCall| calls.iter().filter(|call| kind_of(call) == kind).count();
    let mut all = 0;
    for kind in HostCall::ALL {
        assert_eq!(listed(kind), made(scenario, kind), "{}", kind.name());
        all += listed(kind);
    }
    assert_eq!(all, calls.len());
}

fn kind_of(call: &probe::ProbeCall) -> HostCall {
    match call {
        probe::ProbeCall::Read(..) => HostCall::GetHeader,
        probe::ProbeCall::ReadAll(_) => HostCall::GetHeaders,
        probe::ProbeCall::Write(..) => HostCall::SetHeader,
        probe::ProbeCall::Remove(..) => HostCall::RemoveHeader,
        probe::ProbeCall::Attribute(_) => HostCall::GetProperty,
        probe::ProbeCall::Evaluate(_) => HostCall::Evaluate,
        probe::ProbeCall::Count | probe::ProbeCall::Observe => HostCall::Record,
    }
}

#[test]
fn an_inbound_probe_makes_the_calls_of_a_steady_request() {
    has_the_calls(SidecarDirection::Inbound, &INBOUND);
}

#[test]
fn an_outbound_probe_makes_the_calls_of_a_steady_request() {
    has_the_calls(SidecarDirection::Outbound, &OUTBOUND);
}

/// A call that is answered with nothing costs less than one that is answered.
#[test]
fn a_probe_is_handed_over_as_much_as_the_module() {
    for (direction, scenario) in [
        (SidecarDirection::Inbound, INBOUND),
        (SidecarDirection::Outbound, OUTBOUND),
    ] {
        let probe = steady::all(direction).module().unwrap();
        let [probe, module] = [Compiled::new(&probe), Compiled::load()].map(|compiled| {
            let mut vm = compiled.unwrap().start(&scenario).unwrap();
            vm.cost(1, |_, _| {}).unwrap().buffers
        });
        assert_eq!(probe, module, "{}", scenario.name);
    }
}

#[test]
fn the_last_part_makes_all_calls() {
    for direction in SidecarDirection::ALL {
        let all = steady::all(direction);
        let last = steady::parts(direction).pop().unwrap().probe;
        assert_eq!(last.module().unwrap(), all.module().unwrap());
    }
}
