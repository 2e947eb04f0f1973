//! What the first request of each label set pays: names are made, and Envoy tries its rules for
//! labels on them.
//!
//! Not here: what the later ones pay with many label sets; see [`scaling`](super::scaling).

use anyhow::Result;
use harness::SidecarDirection;

use super::fleet::{Fleet, Terrain};
use super::load::Requests;
use super::subject::Subject;
use crate::report::{Report, progress};

/// New label sets that are measured.
const LABEL_SETS: u32 = 1_000;
/// Those before them.
const WARM_UP: u32 = 100;
/// Requests of each label set after the first, for comparison.
const LATER: u32 = 2;

/// Measures and reports.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report) -> Result<()> {
    let native = Subject::native(SidecarDirection::Inbound);
    let combined = Subject::combined("")?;
    let native_with_rules = new_label_set(native.clone(), true).await?;
    let native_without_rules = new_label_set(native, false).await?;
    let with_rules = new_label_set(combined.clone(), true).await?;
    let without_rules = new_label_set(combined, false).await?;

    report.heading("New series");
    report.text(
        "Microseconds of Envoy's CPU time for a new label set of 4 metrics, inbound: its first request \
         without what a later one costs. Envoy tries its rules for labels on \
         every new name, the native logger's too, which costs by far the most.",
    );
    let rows = [
        (
            "native stats logger",
            native_with_rules,
            native_without_rules,
        ),
        ("combined", with_rules, without_rules),
    ];
    let rows = rows.map(|(name, with, without)| {
        let figures = [with, with - without, without].map(|figure| format!("{figure:.0}"));
        [vec![name.to_owned()], figures.to_vec()].concat()
    });
    let header = ["", "µs per label set", "of that, the rules", "the rest"];
    report.table(&header, &rows);
    Ok(())
}

async fn new_label_set(subject: Subject, label_rules: bool) -> Result<f64> {
    let rules = if label_rules { "" } else { ", no rules" };
    progress(&format!("new series: {}{rules}", subject.name));
    let terrain = Terrain {
        copies: 1,
        service_is_known: false,
        label_rules,
        ..Terrain::usual(SidecarDirection::Inbound)
    };
    let mut fleet = Fleet::start(&terrain, &[subject]).await?;
    let warm_up = Requests::to_authorities(0..WARM_UP);
    fleet.burst(0, &warm_up, LATER * WARM_UP).await?;
    let requests = Requests::to_authorities(WARM_UP..WARM_UP + LABEL_SETS);
    let first = fleet.burst(0, &requests, LABEL_SETS).await?;
    let later = fleet.burst(0, &requests, LATER * LABEL_SETS).await?;
    fleet.check().await?;
    Ok(first - later)
}
