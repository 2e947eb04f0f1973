//! What a plugin adds to the CPU time of starting an Envoy.
//!
//! Not here: what a request pays.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use harness::{Envoy, SidecarDirection};
use tempfile::TempDir;

use super::probe::Probe;
use super::testbed::setup::{NO_UPSTREAM, options};
use super::testbed::{TestbedSetup, cpu_time};
use super::variant::{OtherModule, Variant, filter};
use crate::report::{Report, median, progress, range};

/// Plugins with a VM of their own: their cost is to stand out from that of the rest.
const PLUGINS: u32 = 8;
const STARTS: u32 = 7;

/// Measures and reports, other modules too.
///
/// # Errors
/// When an Envoy does not start, or does not run the plugins.
pub async fn run(report: &mut Report, others: &[OtherModule]) -> Result<()> {
    let directory = TempDir::with_prefix("bench-")?;
    let nothing = directory.path().join("nothing.wasm");
    std::fs::write(&nothing, Probe::default().module()?)?;
    let module = |name: &str, path: PathBuf, root_id: &str| OtherModule {
        name: name.to_owned(),
        path,
        root_id: root_id.to_owned(),
    };
    let mut modules = vec![
        module("do-nothing filter", nothing, ""),
        module("combined", harness::install::module()?, ""),
    ];
    modules.extend_from_slice(others);
    let (none, found, vms) = measure(&modules).await?;
    let each = |starts: &[f64]| -> Vec<f64> {
        let differences = starts
            .iter()
            .zip(&none)
            .map(|(with, without)| with - without);
        differences
            .map(|difference| difference / f64::from(PLUGINS))
            .collect()
    };
    let found: Vec<_> = found.iter().map(|starts| each(starts)).collect();
    let nothing = found.first().map_or(f64::NAN, |starts| median(starts));

    report.heading("Start");
    report.text(&format!(
        "CPU time of an Envoy from its start until it is ready, with {PLUGINS} plugins that share no VM, \
         without that of an Envoy with none ({:.0} ms): median and range of {STARTS} starts, in turns. \
         One worker; Envoy then has {vms} VMs alive, {} for each plugin: that time is for all of \
         these.",
        median(&none),
        vms / f64::from(PLUGINS),
    ));
    let row = |name: &str, starts: &[f64]| {
        let per_plugin = median(starts);
        let per_vm = per_plugin * f64::from(PLUGINS) / vms;
        let ratio = per_plugin / nothing;
        vec![
            name.to_owned(),
            format!("{per_vm:.2}"),
            format!("{per_plugin:.2}"),
            range(starts),
            format!("{ratio:.2}"),
        ]
    };
    let header = ["", "ms per VM", "ms per plugin", "range", "ratio"];
    let names = modules.iter().map(|module| &*module.name);
    let rows: Vec<_> = names
        .zip(&found)
        .map(|(name, starts)| row(name, starts))
        .collect();
    report.table(&header, &rows);
    Ok(())
}

/// Milliseconds of each start without plugins, of each start of each module, and how many VMs a module then has.
type Starts = (Vec<f64>, Vec<Vec<f64>>, f64);

async fn measure(modules: &[OtherModule]) -> Result<Starts> {
    let mut none = Vec::new();
    let mut found = vec![Vec::new(); modules.len()];
    let mut vms = 0.0;
    for nth in 1..=STARTS {
        progress(&format!("start: {nth} of {STARTS}"));
        none.push(start(None).await?.milliseconds);
        for (module, found) in modules.iter().zip(&mut found) {
            let started = start(Some(module)).await?;
            found.push(started.milliseconds);
            ensure!(started.vms > 0.0, "{} starts no VM", module.name);
            vms = started.vms;
        }
    }
    Ok((none, found, vms))
}

struct StartCost {
    milliseconds: f64,
    vms: f64,
}

async fn start(module: Option<&OtherModule>) -> Result<StartCost> {
    let plugins = module.into_iter().flat_map(|module| {
        let OtherModule { path, root_id, .. } = module;
        (0..PLUGINS).map(move |nth| filter(&format!("bench.{nth}"), root_id, path, ""))
    });
    let variant = Variant {
        filters: plugins.collect(),
        ..Variant::bare()
    };
    let setup = TestbedSetup {
        copies: 1,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    let bootstrap = setup.bootstrap(&[variant], NO_UPSTREAM);
    let envoy = Envoy::start(&bootstrap, &options()).await?;
    let milliseconds = cpu_time(envoy.pid())?.as_secs_f64() * 1e3;
    // There is no such gauge where there is no VM.
    let gauge = envoy
        .admin_get("/stats?filter=^wasm.envoy.wasm.runtime.v8.active$")
        .await?;
    let vms = match gauge.text().trim() {
        "" => 0.0,
        line => line.rsplit(' ').next().context("a gauge")?.parse()?,
    };
    Ok(StartCost { milliseconds, vms })
}
