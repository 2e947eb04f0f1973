//! Configurations that change under load, of the filters and of the cluster that holds their metrics.

use std::time::Duration;

use harness::{Client, ModuleHost, Sidecar, SidecarBuilder, eventually};
use serde_json::json;
use tokio::task::JoinSet;

const REQUESTS: &str = "istio_requests_total";
const CLIENTS: u32 = 4;
/// The time between two changes.
const PERIOD: Duration = Duration::from_millis(100);

fn sidecar() -> SidecarBuilder {
    SidecarBuilder::inbound()
        .host(ModuleHost::Native)
        .concurrency(2)
}

#[tokio::test]
async fn no_request_is_lost_while_the_filters_configuration_changes_again_and_again() {
    const EACH: u32 = 5_000;
    let sidecar = sidecar().discovered_plugin_config();
    let (_app, sidecar) = sidecar.start_with_app().await.unwrap();

    let changes = under_load(&sidecar, EACH, |nth| {
        let config = json!({ "max_series": 1000 + nth % 2 });
        sidecar.reconfigure(config).unwrap();
    });
    let changes = changes.await;

    assert!(changes > 5, "{changes} changes only");
    let page = sidecar.page_after(CLIENTS * EACH).await.unwrap();
    let counted = page.sum(REQUESTS, &[]);
    assert_eq!(counted.to_string(), (CLIENTS * EACH).to_string());
    assert_no_problem(&sidecar);
}

/// With each change of the cluster its counters begin again, as those of a restarted proxy do. What was counted before is
/// gone with the old one, so that only what comes after the last change can be told exactly.
#[tokio::test]
async fn traffic_goes_on_while_the_metrics_cluster_changes_and_what_comes_after_is_counted() {
    const EACH: u32 = 5_000;
    const AFTER: u32 = 50;
    const APPLIED: &str = "/stats?filter=cluster_manager.cluster_modified";
    let sidecar = sidecar().discovered_metrics_cluster();
    let (_app, sidecar) = sidecar.start_with_app().await.unwrap();

    let changes = under_load(&sidecar, EACH, |nth| {
        let config = json!({ "max_series": 1000 + nth });
        sidecar.replace_metrics_cluster(config).unwrap();
    });
    let changes = changes.await;

    assert!(changes > 5, "{changes} changes only");
    eventually("the cluster is applied", async || {
        let text = sidecar.envoy.admin_get(APPLIED).await?.text();
        let modified = text
            .trim()
            .rsplit(' ')
            .next()
            .and_then(|text| text.parse::<u32>().ok());
        Ok(modified.filter(|&modified| modified > 5))
    })
    .await
    .unwrap();
    // The last change may still be on its way to the workers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = sidecar.page().await.unwrap().sum(REQUESTS, &[]);
    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    for _ in 0..AFTER {
        assert_eq!(client.get("/version").await.unwrap().status, 200);
    }
    let grown = sidecar.page_when("what came after the changes", |page| {
        page.sum(REQUESTS, &[]) >= before + f64::from(AFTER)
    });
    let after = grown.await.unwrap().sum(REQUESTS, &[]);
    assert_eq!((after - before).to_string(), AFTER.to_string());
    assert_no_problem(&sidecar);
}

/// The cluster is replaced while nothing is sent, so that each of its generations can be compared with what was sent in it, while
/// the filter's configuration changes all the time.
#[tokio::test]
async fn each_generation_of_the_metrics_cluster_counts_what_is_sent_in_it() {
    const GENERATIONS: u32 = 10;
    const EACH: u32 = 500;
    let sidecar = sidecar()
        .discovered_plugin_config()
        .discovered_metrics_cluster();
    let (_app, sidecar) = sidecar.start_with_app().await.unwrap();
    for generation in 0..GENERATIONS {
        under_load(&sidecar, EACH, |nth| {
            let config = json!({ "max_series": 1000 + nth % 2 });
            sidecar.reconfigure(config).unwrap();
        })
        .await;
        let page = sidecar.page_after(CLIENTS * EACH).await.unwrap();
        let counted = page.sum(REQUESTS, &[]);
        let sent = CLIENTS * EACH;
        assert_eq!(counted.to_string(), sent.to_string(), "{generation}");
        let config = json!({ "max_series": 2000 + generation });
        sidecar.replace_metrics_cluster(config).unwrap();
        let replaced = sidecar.page_when("the counters begin again", |page| {
            page.sum(REQUESTS, &[]) == 0.0
        });
        replaced.await.unwrap();
    }
    assert_no_problem(&sidecar);
}

/// Sends so many requests with each client, and changes something until they are done. How often.
async fn under_load(sidecar: &Sidecar, each: u32, change: impl Fn(u32)) -> u32 {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = Client::http1(sidecar.traffic).await.unwrap();
        clients.spawn(async move {
            for _ in 0..each {
                assert_eq!(client.get("/version").await.unwrap().status, 200);
            }
        });
    }
    let mut changes = 0;
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(done) => done.unwrap(),
                None => return changes,
            },
            () = tokio::time::sleep(PERIOD) => {
                changes += 1;
                change(changes);
            }
        }
    }
}

fn assert_no_problem(sidecar: &Sidecar) {
    let log = sidecar.envoy.log().unwrap();
    let problem = log
        .lines()
        .find(|line| line.contains("[critical]") || line.contains("mixerless:"));
    assert_eq!(problem, None);
}
