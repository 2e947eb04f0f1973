//! What a request pays where there are many label sets, or many peers.
//!
//! Not here: what the first request of each pays; see [`new_series`](super::new_series).

use anyhow::Result;
use harness::SidecarDirection;

use super::load::RequestVariety;
use super::testbed::{Effort, Testbed, TestbedSetup};
use super::variant::{COMBINED, DYNAMIC, NATIVE, Variant};
use crate::report::{Report, median, progress, range};

const LABEL_SETS: [u32; 4] = [1, 100, 1_000, 10_000];
const PEERS: [u32; 4] = [1, 10, 100, 400];
/// Room for all label sets.
const CONFIGURATION: &str =
    r#"{"direction": "inbound", "max_series": 16000, "new_series_cpu_percent": 100}"#;

/// Measures and reports both.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let setup = TestbedSetup {
        // A second copy would profit from what the first has brought into the processor's caches.
        copies: 1,
        // The rules cost milliseconds with the first request of a label set, and nothing later.
        label_rules: false,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    // One copy is a small part of a request.
    let effort = Effort {
        burst: effort.burst * 2,
        ..effort
    };
    let by_authority = TestbedSetup {
        service_is_known: false,
        ..setup.clone()
    };
    let to_authorities = |count| RequestVariety::to_authorities(0..count);
    let label_sets = measure(&by_authority, LABEL_SETS, to_authorities, effort).await?;
    let by_peer = TestbedSetup {
        peers_differ: true,
        ..setup
    };
    let peers = measure(&by_peer, PEERS, RequestVariety::from_peers, effort).await?;

    report.heading("Scaling");
    report.text(
        "Microseconds of Envoy's CPU time per request, inbound, where requests come for so many label \
         sets of 4 metrics, or from so many peers, in turns. One copy only, which is colder than \
         ten and not to be compared with them. The native logger's peer labels are constants: it does \
         nothing about peers, and has one label set for all.",
    );
    let header = |what| {
        [
            what,
            "combined, µs",
            "range",
            "dynamic module, µs",
            "range",
            "native, µs",
            "range",
        ]
    };
    for (what, rows) in [("label sets", label_sets), ("peers", peers)] {
        let row = |ScalingRow { count, costs }: ScalingRow| {
            let figures = costs.map(|costs| [format!("{:.2}", median(&costs)), range(&costs)]);
            [vec![count.to_string()], figures.concat()].concat()
        };
        report.table(
            &header(what),
            &rows.into_iter().map(row).collect::<Vec<_>>(),
        );
    }
    Ok(())
}

struct ScalingRow {
    count: u32,
    /// In the order of [`COMPARED`].
    costs: [Vec<f64>; COMPARED.len()],
}

/// What is compared.
const COMPARED: [&str; 3] = [COMBINED, DYNAMIC, NATIVE];

/// The same Envoy has all loads, least first.
async fn measure(
    setup: &TestbedSetup,
    counts: [u32; 4],
    requests: impl Fn(u32) -> RequestVariety,
    effort: Effort,
) -> Result<Vec<ScalingRow>> {
    let variants = [
        Variant::bare(),
        Variant::native(setup.direction),
        Variant::combined(CONFIGURATION)?,
        Variant::dynamic(CONFIGURATION),
    ];
    let mut found = counts.map(|count| ScalingRow {
        count,
        costs: COMPARED.map(|_| Vec::new()),
    });
    for nth in 1..=effort.envoys {
        let what = if setup.peers_differ {
            "peers"
        } else {
            "label sets"
        };
        progress(&format!(
            "scaling, {what}: Envoy {nth} of {}",
            effort.envoys
        ));
        let mut testbed = Testbed::start(setup, &variants).await?;
        for row in &mut found {
            let requests = requests(row.count);
            for variant in 0..variants.len() {
                let clients = testbed.clients(variant)?;
                clients.burst(&requests, row.count).await?;
            }
            let measured = testbed.costs(&requests, effort).await?;
            for (name, costs) in COMPARED.iter().zip(&mut row.costs) {
                costs.extend(measured.get(*name));
            }
        }
        testbed.check().await?;
    }
    Ok(found.into())
}
