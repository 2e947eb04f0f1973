//! What a user of the proxied service notices: time that a request takes longer.
//!
//! Not here: CPU time, which is the steadier figure.

use std::time::Duration;

use anyhow::Result;
use harness::SidecarDirection;

use super::testbed::{Testbed, TestbedSetup};
use super::variant::{COMBINED, NATIVE, Variant};
use crate::report::{Report, median, progress, range};
use crate::scenarios::INBOUND;

const PER_SECOND: u32 = 2_000;
const DURATION: Duration = Duration::from_secs(3);
/// Rounds; one more does not count.
const ROUNDS: u32 = 5;
const PERCENTILES: [f64; 2] = [50.0, 99.0];

/// Measures and reports.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report) -> Result<()> {
    let setup = TestbedSetup {
        copies: 1,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    let variants = [
        Variant::bare(),
        Variant::native(SidecarDirection::Inbound),
        Variant::combined(INBOUND.configuration)?,
    ];
    let found = measure(&setup, &variants).await?;

    report.heading("Latency");
    report.text(&format!(
        "What one copy adds to the time of a request, inbound, at {PER_SECOND} requests a second over 4 \
         connections, in microseconds: median and range of {ROUNDS} rounds in turns. The client \
         and the server run on the same machine and are part of the whole time."
    ));
    let [bare, native, combined] = found;
    let whole = bare
        .each_ref()
        .map(|times| format!("{:.0} (whole)", median(times)));
    let mut rows = vec![row(
        "bare chain",
        whole,
        bare.each_ref().map(|times| range(times)),
    )];
    for (name, times) in [(NATIVE, native), (COMBINED, combined)] {
        let mut added = times.into_iter().zip(&bare).map(|(with, without)| {
            let added = with
                .iter()
                .zip(without)
                .map(|(with, without)| with - without);
            added.collect::<Vec<_>>()
        });
        let added = PERCENTILES.map(|_| added.next().unwrap_or_default());
        let medians = added
            .each_ref()
            .map(|times| format!("{:+.0}", median(times)));
        rows.push(row(
            name,
            medians,
            added.each_ref().map(|times| range(times)),
        ));
    }
    report.table(&["", "p50, µs", "range", "p99, µs", "range"], &rows);
    Ok(())
}

/// Microseconds of each round, of each variant by percentile.
type Times = [[Vec<f64>; 2]; 3];

async fn measure(setup: &TestbedSetup, variants: &[Variant; 3]) -> Result<Times> {
    let mut testbed = Testbed::start(setup, variants).await?;
    // Of each variant, by percentile.
    let mut found = variants.each_ref().map(|_| PERCENTILES.map(|_| Vec::new()));
    for round in 0..=ROUNDS {
        progress(&format!("latency: round {round} of {ROUNDS}"));
        for (variant, found) in found.iter_mut().enumerate() {
            let clients = testbed.clients(variant)?;
            let duration = if round == 0 {
                Duration::from_secs(1)
            } else {
                DURATION
            };
            let times = clients.at_rate(PER_SECOND, duration).await?;
            for (percentile, found) in PERCENTILES.into_iter().zip(found) {
                let time = Duration::from_nanos(times.value_at_percentile(percentile));
                if round > 0 {
                    found.push(time.as_secs_f64() * 1e6);
                }
            }
        }
    }
    testbed.check().await?;
    Ok(found)
}

fn row(name: &str, [p50, p99]: [String; 2], [range_50, range_99]: [String; 2]) -> Vec<String> {
    vec![name.to_owned(), p50, range_50, p99, range_99]
}
