//! What the first request of each label set pays: names are made, and Envoy tries its rules for
//! labels on them.
//!
//! Not here: what the later ones pay with many label sets; see [`scaling`](super::scaling).

use anyhow::Result;
use harness::SidecarDirection;

use super::load::RequestVariety;
use super::testbed::{Testbed, TestbedSetup};
use super::variant::{DYNAMIC, Variant};
use crate::report::{Report, progress};

/// Room for all label sets, and time for them when they come.
const CONFIGURATION: &str =
    r#"{"direction": "inbound", "max_series": 16000, "new_series_cpu_percent": 100}"#;
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
    let native = Variant::native(SidecarDirection::Inbound);
    let combined = Variant::combined(CONFIGURATION)?;
    let dynamic = Variant::dynamic(CONFIGURATION);
    let native_with_rules = new_label_set(native.clone(), true).await?;
    let native_without_rules = new_label_set(native, false).await?;
    let with_rules = new_label_set(combined.clone(), true).await?;
    let without_rules = new_label_set(combined, false).await?;
    let dynamic_with_rules = new_label_set(dynamic.clone(), true).await?;
    let dynamic_without_rules = new_label_set(dynamic, false).await?;

    report.heading("New series");
    report.text(
        "Microseconds of Envoy's CPU time for a new label set of 4 metrics, inbound: its first request \
         without what a later one costs. Envoy tries its rules for labels on \
         every new name, the native logger's too, which costs by far the most. The dynamic module needs no rules.",
    );
    let rows = [
        (
            "native stats logger",
            native_with_rules,
            native_without_rules,
        ),
        ("combined", with_rules, without_rules),
        (DYNAMIC, dynamic_with_rules, dynamic_without_rules),
    ];
    let rows = rows.map(|(name, with, without)| {
        let figures = [with, with - without, without].map(|figure| format!("{figure:.0}"));
        [vec![name.to_owned()], figures.to_vec()].concat()
    });
    let header = ["", "µs per label set", "of that, the rules", "the rest"];
    report.table(&header, &rows);
    Ok(())
}

async fn new_label_set(variant: Variant, label_rules: bool) -> Result<f64> {
    let rules = if label_rules { "" } else { ", no rules" };
    progress(&format!("new series: {}{rules}", variant.name));
    let setup = TestbedSetup {
        copies: 1,
        service_is_known: false,
        label_rules,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    let mut testbed = Testbed::start(&setup, &[variant]).await?;
    let warm_up = RequestVariety::to_authorities(0..WARM_UP);
    testbed.burst(0, &warm_up, LATER * WARM_UP).await?;
    let requests = RequestVariety::to_authorities(WARM_UP..WARM_UP + LABEL_SETS);
    let first = testbed.burst(0, &requests, LABEL_SETS).await?;
    let later = testbed.burst(0, &requests, LATER * LABEL_SETS).await?;
    testbed.check().await?;
    Ok(first - later)
}
