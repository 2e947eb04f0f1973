//! What a request pays for each subject beside Envoy's own stats logger, and for what our module
//! pays.
//!
//! Not here: how a fleet measures; see [`fleet`](super::fleet).

use std::path::Path;

use anyhow::Result;
use harness::SidecarDirection;
use tempfile::TempDir;

use super::fleet::{Costs, Effort, Fleet, Terrain};
use super::load::Requests;
use super::steady;
use super::subject::{COMBINED, NATIVE, NATIVE_WITH_PEER, OtherModule, Subject};
use crate::report::{Report, median, plot, progress, range};
use crate::subjects::EXTRAS;

const NOTHING: &str = "do-nothing filter";
const STATS: &str = "stats alone";
const LOGGER: &str = "stats alone, access logger";
const TWO_FILTERS: &str = "two filters";
const WITH_EXTRAS: &str = "with extras";
/// The labels that [`EXTRAS`] adds.
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
    let [inbound, outbound] = SidecarDirection::ALL.map(|direction| Terrain {
        copies,
        ..Terrain::usual(direction)
    });
    let inbound = Measured::of(&inbound, effort, others).await?;
    let outbound = Measured::of(&outbound, effort, others).await?;

    report.heading("Cost");
    report.text(&format!(
        "Microseconds of Envoy's CPU time per request and copy, copies in the chain: {copies}, and as a \
         multiple of the native logger's in the same Envoy: median of {} Envoys, and the range. The \
         native logger has its peer labels written into its configuration; the second one reads \
         them from the request, as where peers differ. The cost of making them known is in neither.",
        effort.fleets
    ));
    let others = others.iter().map(|other| other.subject().name);
    let names = [
        NATIVE,
        NATIVE_WITH_PEER,
        NOTHING,
        STATS,
        LOGGER,
        COMBINED,
        TWO_FILTERS,
        WITH_EXTRAS,
    ];
    let names: Vec<String> = names.map(str::to_owned).into_iter().chain(others).collect();
    let row = |name: &String| {
        let figures = [&inbound, &outbound].map(|measured| measured.row(name));
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

    report.text(
        "Where the time of \"combined\" goes: differences between modules that make its calls, kind by \
         kind, and do nothing else. Each is a small difference of large figures: where the range is \
         wider than the figure, or the figure negative, it is noise. The rows are medians, and need \
         not add up.",
    );
    let parts = inbound.parts().into_iter().zip(outbound.parts());
    let row = |((name, inbound), (_, outbound)): (Part, Part)| {
        let figures = [inbound, outbound];
        let figures = figures.map(|costs| [format!("{:.2}", median(&costs)), range(&costs)]);
        [vec![name.to_owned()], figures.concat()].concat()
    };
    let rows: Vec<Vec<String>> = parts.map(row).collect();
    report.table(
        &["part", "inbound, µs", "range", "outbound, µs", "range"],
        &rows,
    );

    let bars = names.iter().map(|name| plot::Bars {
        name: name.clone(),
        values: [inbound.cost(name), outbound.cost(name)],
    });
    plot::save("envoy.svg", &bars.collect::<Vec<_>>())
}

/// What the fleets of one direction found.
struct Measured {
    parts: Vec<&'static str>,
    fleets: Vec<Costs>,
}

impl Measured {
    async fn of(terrain: &Terrain, effort: Effort, others: &[OtherModule]) -> Result<Self> {
        let direction = terrain.direction;
        let directory = TempDir::with_prefix("bench-")?;
        let subjects = subjects(direction, others, directory.path())?;
        let mut fleets = Vec::new();
        for nth in 1..=effort.fleets {
            let name = direction.name();
            progress(&format!("cost, {name}: Envoy {nth} of {}", effort.fleets));
            let mut fleet = Fleet::start(terrain, &subjects).await?;
            fleets.push(fleet.costs(&Requests::default(), effort).await?);
            fleet.check().await?;
        }
        let parts = steady::parts(direction);
        let parts = parts.into_iter().map(|part| part.name).collect();
        Ok(Self { parts, fleets })
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
    fn parts(&self) -> Vec<Part> {
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
        self.fleets.iter().map(of).collect()
    }
}

/// Its name, and its cost in each fleet.
type Part = (&'static str, Vec<f64>);

fn of(costs: &Costs, name: &str) -> f64 {
    costs.get(name).copied().unwrap_or(f64::NAN)
}

/// The first probe makes no calls, and has a row of its own.
fn probe(part: &'static str) -> &'static str {
    if part == "callbacks" { NOTHING } else { part }
}

fn subjects(
    direction: SidecarDirection,
    others: &[OtherModule],
    directory: &Path,
) -> Result<Vec<Subject>> {
    let mut subjects = vec![
        Subject::bare(),
        Subject::behind_exchange()?,
        Subject::behind_peer(direction),
        Subject::native(direction),
        Subject::native_with_peer(direction),
        Subject::ours(STATS, &["stats"], "")?.learning_from_exchange()?,
        Subject::our_logger(LOGGER)?.learning_from_exchange()?,
        Subject::combined("")?,
        Subject::ours(TWO_FILTERS, &["metadata_exchange", "stats"], "")?,
        Subject {
            added_labels: &ADDED_LABELS,
            ..Subject::ours(WITH_EXTRAS, &[""], EXTRAS.configuration)?
        },
    ];
    for part in steady::parts(direction) {
        subjects.push(Subject::probe(probe(part.name), &part.probe, directory)?);
    }
    subjects.extend(others.iter().map(OtherModule::subject));
    Ok(subjects)
}
