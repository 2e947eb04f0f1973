//! What a label set keeps allocated in Envoy.
//!
//! Not here: the module's own memory, which `cargo bench -p bench --bench module` counts.

use anyhow::{Context, Result};
use harness::SidecarDirection;
use serde_json::Value;

use super::load::RequestVariety;
use super::testbed::{Testbed, TestbedSetup};
use super::variant::{DYNAMIC, Variant};
use crate::report::{Report, progress};

const LABEL_SETS: u32 = 10_000;
/// Label sets before the first measurement: tables and buffers are allocated by then.
const WARM_UP: u32 = 100;
/// Room for all of them.
const CONFIGURATION: &str =
    r#"{"direction": "inbound", "max_series": 16000, "new_series_cpu_percent": 100}"#;

/// Measures and reports.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report) -> Result<()> {
    progress("memory: takes a minute or two, for each label set costs milliseconds");
    // Both at once, because no time is measured.
    let (native, combined, dynamic) = tokio::try_join!(
        label_set(Variant::native(SidecarDirection::Inbound)),
        label_set(Variant::combined(CONFIGURATION)?),
        label_set(Variant::dynamic(CONFIGURATION)),
    )?;

    report.heading("Memory");
    report.text(
        "Bytes that Envoy's own allocator holds (`/memory`) per label set of 4 metrics, after 10,000 of \
         them, with one worker. V8's memory, and so the module's, is not in that number: see `cargo bench -p bench --bench module`. The \
         dynamic module allocates where Envoy does, so that its own is.",
    );
    let rows = [
        ("native stats logger", native),
        ("combined", combined),
        (DYNAMIC, dynamic),
    ];
    let rows = rows.map(|(name, bytes)| vec![name.to_owned(), format!("{bytes:.0}")]);
    report.table(&["", "bytes per label set"], &rows);
    Ok(())
}

async fn label_set(variant: Variant) -> Result<f64> {
    let setup = TestbedSetup {
        copies: 1,
        service_is_known: false,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    let mut testbed = Testbed::start(&setup, &[variant]).await?;
    let requests = RequestVariety::to_authorities(0..WARM_UP + LABEL_SETS);
    testbed.burst(0, &requests, WARM_UP).await?;
    let before = allocated(&testbed).await?;
    testbed.burst(0, &requests, LABEL_SETS).await?;
    let after = allocated(&testbed).await?;
    testbed.check().await?;
    Ok((after - before) / f64::from(LABEL_SETS))
}

async fn allocated(testbed: &Testbed) -> Result<f64> {
    let answer = testbed.envoy().admin_get("/memory").await?;
    let memory: Value = serde_json::from_slice(&answer.body)?;
    let allocated = memory["allocated"].as_str();
    Ok(allocated.context("what Envoy has allocated")?.parse()?)
}
