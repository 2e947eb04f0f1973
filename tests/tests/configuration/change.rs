//! The configuration changes while requests come in: none is lost and none is counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use harness::sidecar::REQUEST_COUNTS;
use harness::{App, Client, Roles, Sidecar, SidecarBuilder, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fixture::{REQUESTS, get, page_after, sum};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_the_configuration_changes_again_and_again() {
    for roles in [Roles::Combined, Roles::Split] {
        let (_app, sidecar) = changeable(2, roles, generation(0)).await;
        let load = Load::start(&sidecar).await;

        for number in 0..6 {
            if number > 0 {
                sidecar.reconfigure(generation(number)).unwrap();
            }
            let text = number.to_string();
            let counted =
                |page: &harness::Page| page.sum(REQUESTS, &[("generation", &text)]) > 20.0;
            let what = format!("requests of generation {number}");
            sidecar.page_when(&what, counted).await.unwrap();
        }
        let sent = load.stop().await;

        let page = sidecar.page_after(sent).await.unwrap();
        for name in REQUEST_COUNTS {
            assert_eq!(sum(&page, name, &[]), sent.to_string(), "{name}, {roles:?}");
            assert_eq!(page.series(name).len(), 6, "{name}, {roles:?}");
        }
    }
}

#[tokio::test]
async fn after_a_change_the_new_label_grows_and_the_old_one_stays_as_it_is() {
    let (_app, sidecar) = changeable(1, Roles::Combined, generation(1)).await;
    for _ in 0..3 {
        get(&sidecar, "/version").await;
    }
    page_after(&sidecar, 3).await;

    sidecar.reconfigure(generation(2)).unwrap();
    reaches(&sidecar, "2").await;
    let before = sidecar.page().await.unwrap();
    for _ in 0..5 {
        get(&sidecar, "/version").await;
    }

    let old = before.sum(REQUESTS, &[("generation", "1")]);
    let new = before.sum(REQUESTS, &[("generation", "2")]);
    assert!(old >= 3.0);
    let grown = |page: &harness::Page| page.sum(REQUESTS, &[]) >= old + new + 5.0;
    let page = sidecar
        .page_when("five more requests", grown)
        .await
        .unwrap();
    assert_eq!(
        sum(&page, REQUESTS, &[("generation", "1")]),
        old.to_string()
    );
    assert_eq!(
        sum(&page, REQUESTS, &[("generation", "2")]),
        (new + 5.0).to_string()
    );
}

#[tokio::test]
async fn a_label_that_is_no_longer_configured_is_gone_and_its_old_series_stay() {
    let (_app, sidecar) = changeable(1, Roles::Combined, generation(1)).await;
    get(&sidecar, "/version").await;
    page_after(&sidecar, 1).await;

    sidecar.reconfigure("").unwrap();
    let page = eventually("a series without the label", async || {
        get(&sidecar, "/version").await;
        let page = sidecar.page().await?;
        let series = page.series(REQUESTS);
        let without = series
            .iter()
            .any(|sample| sample.label("generation").is_none());
        Ok(without.then_some(page))
    });

    let page = page.await.unwrap();
    assert!(page.sum(REQUESTS, &[("generation", "1")]) >= 1.0);
}

#[tokio::test]
async fn a_request_that_outlives_its_configuration_is_counted_once() {
    let (app, sidecar) = changeable(1, Roles::Combined, generation(1)).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    let call = tokio::spawn(async move { client.get("/hang").await });
    app.reached("/hang").await.unwrap();

    sidecar.reconfigure(generation(2)).unwrap();
    reaches(&sidecar, "2").await;
    call.abort();

    let gone = [("response_flags", "DC")];
    let counted = |page: &harness::Page| page.sum(REQUESTS, &gone) >= 1.0;
    let page = sidecar
        .page_when("the request that was given up", counted)
        .await
        .unwrap();
    assert_eq!(
        sum(
            &page,
            REQUESTS,
            &[("response_flags", "DC"), ("generation", "1")]
        ),
        "1"
    );
    assert_eq!(sum(&page, REQUESTS, &gone), "1");
}

#[tokio::test]
async fn requests_in_flight_come_back_to_zero_over_a_change() {
    let config = |number: u32| {
        let mut config = generation(number);
        config["extra_metrics"] = json!(["requests_in_flight", "requests_started_total"]);
        config
    };
    let (app, sidecar) = changeable(1, Roles::Combined, config(1)).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    let call = tokio::spawn(async move { client.get("/hang").await });
    app.reached("/hang").await.unwrap();

    sidecar.reconfigure(config(2)).unwrap();
    reaches(&sidecar, "2").await;
    let in_flight = |page: &harness::Page| sum(page, "istio_requests_in_flight", &[]);
    let during = sidecar.page_when("one request in flight", |page| in_flight(page) == "1");
    during.await.unwrap();
    call.abort();

    let after = sidecar.page_when("no request in flight", |page| in_flight(page) == "0");
    let after = after.await.unwrap();
    let started = sum(&after, "istio_requests_started_total", &[]);
    assert_eq!(started, app.requests().len().to_string());
}

/// Plugins of old configurations are removed: there is one VM for each thread, however many changes.
#[tokio::test]
async fn many_changes_leave_no_machines_behind() {
    let (_app, sidecar) = changeable(1, Roles::Combined, generation(0)).await;
    get(&sidecar, "/version").await;
    let before = machines(&sidecar).await;

    for number in 1..=15 {
        sidecar.reconfigure(generation(number)).unwrap();
        reaches(&sidecar, &number.to_string()).await;
    }

    assert_eq!(machines(&sidecar).await, before);
}

/// A configuration that adds the label `generation` with that value.
fn generation(number: u32) -> Value {
    json!({ "metrics": [{ "dimensions": { "generation": format!("'{number}'") } }] })
}

async fn changeable(workers: u32, roles: Roles, config: Value) -> (App, Sidecar) {
    SidecarBuilder::inbound()
        .concurrency(workers)
        .roles(roles)
        .plugin_config(config)
        .discovered_plugin_config()
        .labels(&["generation"])
        .start_with_app()
        .await
        .unwrap()
}

/// Sends requests until one is counted in that generation.
async fn reaches(sidecar: &Sidecar, generation: &str) {
    eventually("a request of the new generation", async || {
        get(sidecar, "/version").await;
        let page = sidecar.page().await?;
        Ok((page.sum(REQUESTS, &[("generation", generation)]) > 0.0).then_some(()))
    })
    .await
    .unwrap();
}

/// How many VMs Envoy has.
async fn machines(sidecar: &Sidecar) -> String {
    let answer = sidecar.envoy.admin_get("/stats?filter=wasm.*active").await;
    let gauges = answer.unwrap().text();
    assert!(gauges.contains("v8.active: "), "{gauges:?}");
    gauges
}

/// Clients that send one request after the other until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    clients: JoinSet<()>,
}

impl Load {
    async fn start(sidecar: &Sidecar) -> Self {
        let (stop, sent): (Arc<AtomicBool>, Arc<AtomicU32>) = Default::default();
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let mut client = Client::http1(sidecar.traffic).await.unwrap();
            let (stop, sent) = (stop.clone(), sent.clone());
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/version").await.unwrap().status, 200);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self {
            stop,
            sent,
            clients,
        }
    }

    /// How many requests were sent.
    async fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        self.sent.load(Ordering::Relaxed)
    }
}
