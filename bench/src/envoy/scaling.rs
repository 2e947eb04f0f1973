//! What a request pays where there are many label sets, or many peers.
//!
//! Not here: what the first request of each pays; see [`new_series`](super::new_series).

use anyhow::Result;
use harness::SidecarDirection;

use super::fleet::{Effort, Fleet, Terrain};
use super::load::Requests;
use super::subject::{COMBINED, NATIVE, Subject};
use crate::report::{Report, median, progress, range};

const LABEL_SETS: [u32; 4] = [1, 100, 1_000, 10_000];
const PEERS: [u32; 4] = [1, 10, 100, 400];
/// Room for all label sets.
const CONFIGURATION: &str = r#"{"max_series": 20000}"#;

/// Measures and reports both.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let terrain = Terrain {
        // A second copy would find in the processor's caches what the first has brought there.
        copies: 1,
        // They cost milliseconds with the first request of a label set, and nothing later.
        label_rules: false,
        ..Terrain::usual(SidecarDirection::Inbound)
    };
    // One copy is a small part of a request.
    let effort = Effort {
        burst: effort.burst * 2,
        ..effort
    };
    let by_authority = Terrain {
        service_is_known: false,
        ..terrain.clone()
    };
    let to_authorities = |count| Requests::to_authorities(0..count);
    let label_sets = measure(&by_authority, LABEL_SETS, to_authorities, effort).await?;
    let by_peer = Terrain {
        peers_differ: true,
        ..terrain
    };
    let peers = measure(&by_peer, PEERS, Requests::from_peers, effort).await?;

    report.heading("Scaling");
    report.text(
        "Microseconds of Envoy's CPU time per request, inbound, where requests come for so many label \
         sets of 4 metrics, or from so many peers, in turns. One copy only, which is colder than \
         ten and not to be compared with them. The native logger's peer labels are constants: it does \
         nothing about peers, and has one label set for all.",
    );
    let header = |what| [what, "combined, µs", "range", "native, µs", "range"];
    for (what, rows) in [("label sets", label_sets), ("peers", peers)] {
        let row = |Row {
                       count,
                       ours,
                       native,
                   }: Row| {
            let figures =
                [ours, native].map(|costs| [format!("{:.2}", median(&costs)), range(&costs)]);
            [vec![count.to_string()], figures.concat()].concat()
        };
        report.table(
            &header(what),
            &rows.into_iter().map(row).collect::<Vec<_>>(),
        );
    }
    Ok(())
}

struct Row {
    count: u32,
    ours: Vec<f64>,
    native: Vec<f64>,
}

/// The same Envoy has all loads, least first.
async fn measure(
    terrain: &Terrain,
    counts: [u32; 4],
    requests: impl Fn(u32) -> Requests,
    effort: Effort,
) -> Result<Vec<Row>> {
    let subjects = [
        Subject::bare(),
        Subject::native(terrain.direction),
        Subject::combined(CONFIGURATION)?,
    ];
    let mut found = counts.map(|_| (Vec::new(), Vec::new()));
    for nth in 1..=effort.fleets {
        let what = if terrain.peers_differ {
            "peers"
        } else {
            "label sets"
        };
        progress(&format!(
            "scaling, {what}: Envoy {nth} of {}",
            effort.fleets
        ));
        let mut fleet = Fleet::start(terrain, &subjects).await?;
        for (count, (ours, native)) in counts.into_iter().zip(&mut found) {
            let requests = requests(count);
            for subject in 0..subjects.len() {
                fleet.clients(subject)?.burst(&requests, count).await?;
            }
            let costs = fleet.costs(&requests, effort).await?;
            ours.extend(costs.get(COMBINED));
            native.extend(costs.get(NATIVE));
        }
        fleet.check().await?;
    }
    let rows = counts
        .into_iter()
        .zip(found)
        .map(|(count, (ours, native))| Row {
            count,
            ours,
            native,
        });
    Ok(rows.collect())
}
