//! What a request pays for each variant beside Envoy's own stats logger, and for what our module
//! pays.
//!
//! Not here: how a testbed measures; see [`testbed`](super::testbed).

use std::path::Path;

use anyhow::Result;
use harness::SidecarDirection;
use tempfile::TempDir;

use super::load::RequestVariety;
use super::steady;
use super::testbed::{Costs, Effort, Testbed, TestbedSetup};
use super::variant::{
    COMBINED, DYNAMIC, DYNAMIC_STATS, NATIVE, NATIVE_WITH_PEER, OtherModule, Variant,
};
use crate::report::{Report, median, plot, progress, range};
use crate::scenarios::{EVERY_OPTION, INBOUND, OUTBOUND};

const NOTHING: &str = "do-nothing filter";
const STATS: &str = "stats alone";
const LOGGER: &str = "stats alone, access logger";
const TWO_FILTERS: &str = "two filters";
const EVERY_OPTION_ON: &str = "every option";
/// The labels that [`EVERY_OPTION`] adds.
const ADDED_LABELS: [&str; 4] = ["method", "path", "request_operation", "peer_unknown_reason"];

/// Measures and reports both directions.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(
    report: &mut Report,
    effort: Effort,
    copies: u32,
    others: &[OtherModule],
) -> Result<()> {
    let [inbound, outbound] = SidecarDirection::ALL.map(|direction| TestbedSetup {
        copies,
        ..TestbedSetup::usual(direction)
    });
    let inbound = Measured::of(&inbound, effort, others).await?;
    let outbound = Measured::of(&outbound, effort, others).await?;

    let others = others.iter().map(|other| other.variant().name);
    let names = NAMES.map(str::to_owned);
    let names: Vec<String> = names.into_iter().chain(others).collect();
    report_costs(report, effort, copies, &names, [&inbound, &outbound]);
    report_parts(report, [&inbound, &outbound]);

    let bars = names.iter().map(|name| plot::Bars {
        name: name.clone(),
        values: [inbound.cost(name), outbound.cost(name)],
    });
    plot::save("envoy.svg", &bars.collect::<Vec<_>>())
}

/// The rows of the table of costs; other modules follow.
const NAMES: [&str; 10] = [
    NATIVE,
    NATIVE_WITH_PEER,
    NOTHING,
    STATS,
    LOGGER,
    COMBINED,
    TWO_FILTERS,
    EVERY_OPTION_ON,
    DYNAMIC_STATS,
    DYNAMIC,
];

fn report_costs(
    report: &mut Report,
    effort: Effort,
    copies: u32,
    names: &[String],
    measured: [&Measured; 2],
) {
    report.heading("Cost");
    report.text(&format!(
        "Microseconds of Envoy's CPU time per request and copy, copies in the chain: {copies}, and as a \
         multiple of the native logger's in the same Envoy: median of {} Envoys, and the range. The \
         native logger has its peer labels written into its configuration; the second one reads \
         them from the request, as where peers differ. The cost of making them known is in neither.",
        effort.envoys
    ));
    let row = |name: &String| {
        let figures = measured.map(|measured| measured.row(name));
        [name.clone()].into_iter().chain(figures.concat()).collect()
    };
    let rows: Vec<Vec<String>> = names.iter().map(row).collect();
    let header = [
        "",
        "inbound, µs",
        "ratio",
        "range",
        "outbound, µs",
        "ratio",
        "range",
    ];
    report.table(&header, &rows);
}

fn report_parts(report: &mut Report, [inbound, outbound]: [&Measured; 2]) {
    report.text(
        "Where the time of \"combined\" goes: differences between modules that make its calls, kind by \
         kind, and do nothing else. Each is a small difference of large figures: where the range is \
         wider than the figure, or the figure negative, it is noise. The rows are medians, and need \
         not add up.",
    );
    let parts = inbound.parts().into_iter().zip(outbound.parts());
    let row = |((name, inbound), (_, outbound)): (PartCosts, PartCosts)| {
        let figures = [inbound, outbound];
        let figures = figures.map(|costs| [format!("{:.2}", median(&costs)), range(&costs)]);
        [vec![name.to_owned()], figures.concat()].concat()
    };
    let rows: Vec<Vec<String>> = parts.map(row).collect();
    report.table(
        &["part", "inbound, µs", "range", "outbound, µs", "range"],
        &rows,
    );
}

/// What was measured in one direction.
struct Measured {
    parts: Vec<&'static str>,
    envoys: Vec<Costs>,
}

impl Measured {
    async fn of(setup: &TestbedSetup, effort: Effort, others: &[OtherModule]) -> Result<Self> {
        let direction = setup.direction;
        let directory = TempDir::with_prefix("bench-")?;
        let variants = variants(direction, others, directory.path())?;
        let mut envoys = Vec::new();
        for nth in 1..=effort.envoys {
            let name = direction.name();
            progress(&format!("cost, {name}: Envoy {nth} of {}", effort.envoys));
            let mut testbed = Testbed::start(setup, &variants).await?;
            envoys.push(testbed.costs(&RequestVariety::default(), effort).await?);
            testbed.check().await?;
        }
        let parts = steady::parts(direction);
        let parts = parts.into_iter().map(|part| part.name).collect();
        Ok(Self { parts, envoys })
    }

    /// Cost, ratio to the native logger's and its range.
    fn row(&self, name: &str) -> [String; 3] {
        let ratio = |costs: &Costs| of(costs, name) / of(costs, NATIVE);
        let ratios = self.each(ratio);
        let cost = format!("{:.2}", self.cost(name));
        [cost, format!("{:.2}", median(&ratios)), range(&ratios)]
    }

    fn cost(&self, name: &str) -> f64 {
        median(&self.each(|costs| of(costs, name)))
    }

    /// What each part adds to those before it; then our own code, and the whole.
    fn parts(&self) -> Vec<PartCosts> {
        let mut parts = Vec::new();
        let mut before = None;
        for step in self.parts.iter().copied().chain([COMBINED]) {
            let without = |costs: &Costs| before.map_or(0.0, |before| of(costs, probe(before)));
            let adds = self.each(|costs| of(costs, probe(step)) - without(costs));
            let name = if step == COMBINED { "own code" } else { step };
            parts.push((name, adds));
            before = Some(step);
        }
        parts.push(("all", self.each(|costs| of(costs, COMBINED))));
        parts
    }

    fn each(&self, of: impl Fn(&Costs) -> f64) -> Vec<f64> {
        self.envoys.iter().map(of).collect()
    }
}

/// Its name, and its cost in each testbed.
type PartCosts = (&'static str, Vec<f64>);

fn of(costs: &Costs, name: &str) -> f64 {
    costs.get(name).copied().unwrap_or(f64::NAN)
}

/// The first probe makes no calls, and has a row of its own.
fn probe(part: &'static str) -> &'static str {
    if part == "callbacks" { NOTHING } else { part }
}

fn variants(
    direction: SidecarDirection,
    others: &[OtherModule],
    directory: &Path,
) -> Result<Vec<Variant>> {
    // As manifests do, each filter says which way its requests go.
    let (configuration, every_option) = match direction {
        SidecarDirection::Inbound => (INBOUND.configuration, EVERY_OPTION.configuration.to_owned()),
        SidecarDirection::Outbound => (
            OUTBOUND.configuration,
            EVERY_OPTION.configuration.replace("inbound", "outbound"),
        ),
    };
    let mut variants = vec![
        Variant::bare(),
        Variant::behind_exchange()?,
        Variant::behind_peer(direction),
        Variant::native(direction),
        Variant::native_with_peer(direction),
        Variant::ours(STATS, &["stats"], configuration)?.learning_from_exchange()?,
        Variant::our_logger(LOGGER, configuration)?.learning_from_exchange()?,
        Variant::combined(configuration)?,
        Variant::ours(TWO_FILTERS, &["metadata_exchange", "stats"], configuration)?,
        Variant::bare_behind_dynamic_exchange(),
        Variant::dynamic_stats(configuration),
        Variant::dynamic(configuration),
        Variant {
            added_labels: &ADDED_LABELS,
            ..Variant::ours(EVERY_OPTION_ON, &[""], &every_option)?
        },
    ];
    for part in steady::parts(direction) {
        variants.push(Variant::probe(probe(part.name), &part.probe, directory)?);
    }
    variants.extend(others.iter().map(OtherModule::variant));
    Ok(variants)
}
