//! What the compiled module costs, counted: no figure depends on the machine. One table, printed and
//! left in `target/bench/module.md`.

use std::path::Path;

use bench::engine::{Compiled, Cost};
use bench::peers;
use bench::recorded::{HostCall, Recorded};
use bench::scenarios::{BY_AUTHORITY, ONE_CACHED_PEER, STEADY};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use wasmtime::Result;

/// A steady request costs the mean of so many, and a new thing of so many new ones.
const REQUESTS: u64 = 100;

/// Cargo's own arguments are for harnesses that choose among benchmarks; this is one only.
fn main() -> Result<()> {
    let module = Compiled::load()?;
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let names = STEADY.map(|scenario| scenario.name);
    table.set_header(["of the compiled module"].into_iter().chain(names));
    add_steady(&mut table, &module)?;
    add_new(&mut table, &module)?;
    add_memory(&mut table, &module)?;
    add(&mut table, "module, bytes", [module.size()]);

    let table = format!("{table}\n");
    print!("{table}");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("module.md"), table)?;
    Ok(())
}

/// What recurs with every request.
fn add_steady(table: &mut Table, module: &Compiled) -> Result<()> {
    let costs = STEADY
        .map(|scenario| -> Result<Cost> { module.start(&scenario)?.cost(REQUESTS, |_, _| {}) });
    let costs = costs.into_iter().collect::<Result<Vec<_>>>()?;
    let mut add_each = |name: &str, value: &dyn Fn(&Cost) -> u64| {
        // Rounded up: what happens at all is no zero.
        let values = costs.iter().map(|cost| value(cost).div_ceil(REQUESTS));
        add(table, name, values);
    };
    add_each("instructions (fuel) per request", &|cost| cost.fuel);
    add_each("calls into the proxy per request", &|cost| {
        cost.calls.total()
    });
    for call in HostCall::ALL {
        if costs.iter().any(|cost| cost.calls.of(call) > 0) {
            add_each(&format!("- {}", call.name()), &|cost| cost.calls.of(call));
        }
    }
    add_each("entries into the module per request", &|cost| {
        cost.callbacks
    });
    add_each("entries for memory per request", &|cost| cost.buffers);
    add_each("allocations per request", &|cost| cost.allocations);
    Ok(())
}

/// What happens once for each new thing.
fn add_new(table: &mut Table, module: &Compiled) -> Result<()> {
    let mut vm = module.start(&BY_AUTHORITY)?;
    let series = vm.cost(REQUESTS, |proxy, number| proxy.set_authority(number + 1))?;
    let mut vm = module.start(&ONE_CACHED_PEER)?;
    let peers = [0, 1].map(peers::headers);
    let alternate = |proxy: &mut Recorded, number| {
        proxy.set_peer(&peers[number as usize % 2]);
    };
    // The first time, a peer also makes new series.
    vm.cost(peers.len() as u64, alternate)?;
    let peer = vm.cost(REQUESTS, alternate)?;
    for (name, cost) in [("new series of each metric", series), ("new peer", peer)] {
        add(
            table,
            &format!("instructions (fuel), {name}"),
            [cost.fuel / REQUESTS],
        );
        add(
            table,
            &format!("allocations, {name}"),
            [cost.allocations / REQUESTS],
        );
    }
    Ok(())
}

/// What stays: a label set has a series of each metric.
fn add_memory(table: &mut Table, module: &Compiled) -> Result<()> {
    let mut vm = module.start(&BY_AUTHORITY)?;
    let mut sets = 1;
    let mut bytes_at = |sets_wanted: u64| -> Result<u64> {
        let first = sets;
        vm.cost(sets_wanted - first, |proxy, number| {
            proxy.set_authority(first + number);
        })?;
        sets = sets_wanted;
        Ok(vm.memory_bytes())
    };
    let [one, thousand, all] = [bytes_at(1)?, bytes_at(1_000)?, bytes_at(10_000)?];
    add(table, "memory with 1 label set, bytes", [one]);
    add(table, "memory with 1,000 label sets, bytes", [thousand]);
    add(table, "memory with 10,000 label sets, bytes", [all]);
    add(table, "memory per label set, bytes", [(all - one) / 9_999]);
    Ok(())
}

fn add(table: &mut Table, name: &str, values: impl IntoIterator<Item = u64>) {
    let values = values.into_iter().map(|value| value.to_string());
    table.add_row([name.to_owned()].into_iter().chain(values));
}
