//! `requests_started_total` and `requests_in_flight`.

use harness::client::send_raw;
use harness::{App, Client, Page, Sidecar, SidecarBuilder, Upstream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::expected::CLUSTER;
use crate::fixture::{self, REQUESTS, get, only, sum};

const STARTED: &str = "istio_requests_started_total";
const IN_FLIGHT: &str = "istio_requests_in_flight";

#[tokio::test]
async fn a_request_is_in_flight_until_it_is_answered() {
    for start in [SidecarBuilder::inbound(), SidecarBuilder::outbound()] {
        let (app, sidecar) = fixture::start(start, extra(), &[]).await;
        let mut client = Client::http1(sidecar.traffic).await.unwrap();

        let call = tokio::spawn(async move { client.get("/delay/1000").await });
        app.reached("/delay/1000").await.unwrap();

        let during = sidecar.page().await.unwrap();
        assert_eq!(
            (in_flight(&during), sum(&during, STARTED, &[])),
            (1, "1".to_owned())
        );
        assert!(during.series(REQUESTS).is_empty());
        call.await.unwrap().unwrap();
        let after = sidecar.page_after(1).await.unwrap();
        assert_eq!(
            (in_flight(&after), sum(&after, STARTED, &[])),
            (0, "1".to_owned())
        );
    }
}

#[tokio::test]
async fn they_have_the_reporter_and_the_local_workload_as_labels() {
    for (start, reporter, side) in [
        (SidecarBuilder::inbound(), "destination", "destination"),
        (SidecarBuilder::outbound(), "source", "source"),
    ] {
        let (_app, sidecar) = fixture::start(start, extra(), &[]).await;

        get(&sidecar, "/version").await;

        let page = sidecar.page_after(1).await.unwrap();
        let local = [
            ("workload", "podinfo"),
            ("workload_namespace", "test"),
            ("app", "podinfo"),
            ("version", "unknown"),
            ("canonical_service", "podinfo"),
            ("canonical_revision", "latest"),
            ("cluster", CLUSTER),
        ];
        for (name, kind) in [(STARTED, "counter"), (IN_FLIGHT, "gauge")] {
            assert_eq!(page.families[name].kind, kind);
            let series = only(&page, name);
            assert_eq!(series.labels.len(), 8, "{series:?}");
            assert_eq!(series.label("reporter"), Some(reporter));
            for (label, value) in local {
                assert_eq!(
                    series.label(&format!("{side}_{label}")),
                    Some(value),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn aborted_http1_requests_are_no_longer_in_flight() {
    let (_app, sidecar) = two_workers().await;
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let mut client = Client::http1(sidecar.traffic).await.unwrap();
        calls.spawn(async move { client.get("/hang").await });
    }
    let during = in_flight_becomes(&sidecar, 10, 10).await;
    assert_eq!(sum(&during, STARTED, &[]), "10");

    // Dropping the clients closes the connections too.
    calls.shutdown().await;

    let after = in_flight_becomes(&sidecar, 0, 10).await;
    assert_eq!(sum(&after, STARTED, &[]), "10");
    assert_eq!(
        sum(&sidecar.page_after(10).await.unwrap(), REQUESTS, &[]),
        "10"
    );
}

#[tokio::test]
async fn cancelled_http2_streams_are_no_longer_in_flight() {
    let (_app, sidecar) = two_workers().await;
    let (stop, stopped) = watch::channel(false);
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let mut client = Client::http2(sidecar.traffic).await.unwrap();
        let mut stopped = stopped.clone();
        calls.spawn(async move {
            tokio::select! {
                answer = client.get("/hang") => panic!("{answer:?}"),
                _ = stopped.changed() => {}
            }
            client
        });
    }
    in_flight_becomes(&sidecar, 10, 10).await;

    stop.send(true).unwrap();
    // The connections stay: only the streams are reset.
    let mut clients = calls.join_all().await;
    in_flight_becomes(&sidecar, 0, 10).await;
    clients[0].get("/version").await.unwrap();

    let after = sidecar.page_after(11).await.unwrap();
    assert_eq!(
        (in_flight(&after), sum(&after, STARTED, &[])),
        (0, "11".to_owned())
    );
}

#[tokio::test]
async fn requests_that_envoy_answers_itself_do_not_stay_in_flight() {
    let sidecar = SidecarBuilder::outbound().plugin_config(extra());
    let sidecar = sidecar.upstream(Upstream::Refusing).start().await.unwrap();

    assert_eq!(get(&sidecar, "/version").await.status, 503);
    let elsewhere = b"GET / HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n";
    assert!(
        send_raw(sidecar.traffic, elsewhere)
            .await
            .unwrap()
            .starts_with(b"HTTP/1.1 404")
    );

    let page = sidecar.page_after(2).await.unwrap();
    assert_eq!(
        (in_flight(&page), sum(&page, STARTED, &[])),
        (0, "2".to_owned())
    );
}

/// For such a request Envoy calls the filters' log callback, but not their callback for request headers.
#[tokio::test]
async fn requests_that_envoy_refuses_to_read_are_started_and_make_no_negative_number() {
    let (_app, sidecar) = fixture::inbound(extra(), &[]).await;
    get(&sidecar, "/version").await;

    for _ in 0..3 {
        let malformed = b"GET / HTTP/1.1\r\nhost: \xff\xfe\r\nconnection: close\r\n\r\n";
        let answer = send_raw(sidecar.traffic, malformed).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400"));
    }

    let page = sidecar.page_after(4).await.unwrap();
    assert_eq!(in_flight(&page), 0);
    assert_eq!(sum(&page, STARTED, &[]), sum(&page, REQUESTS, &[]));
}

/// A filter in front of the module answers: the module sees the request at its end alone.
#[tokio::test]
async fn requests_that_a_filter_before_it_answers_are_started_too() {
    let abort = json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": { "http_status": 403, "percentage": { "numerator": 100 } },
        },
    });
    let sidecar = SidecarBuilder::inbound().http_filter(abort);
    let (app, sidecar) = fixture::start(sidecar, extra(), &[]).await;

    for _ in 0..3 {
        assert_eq!(get(&sidecar, "/version").await.status, 403);
    }

    let page = sidecar.page_after(3).await.unwrap();
    assert!(app.requests().is_empty());
    assert_eq!(
        (in_flight(&page), sum(&page, STARTED, &[])),
        (0, "3".to_owned())
    );
}

#[tokio::test]
async fn with_two_filters_requests_are_in_flight_once() {
    let sidecar = SidecarBuilder::inbound().roles(harness::Roles::Split);
    let (app, sidecar) = fixture::start(sidecar, extra(), &[]).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    let call = tokio::spawn(async move { client.get("/hang").await });
    app.reached("/hang").await.unwrap();
    in_flight_becomes(&sidecar, 1, 1).await;
    call.abort();

    let page = in_flight_becomes(&sidecar, 0, 1).await;
    assert_eq!(sum(&page, STARTED, &[]), "1");
}

#[tokio::test]
async fn they_are_not_there_unless_configured() {
    let (_app, sidecar) = fixture::inbound(json!({}), &[]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    crate::expected::assert_standard_metrics(&page);
}

fn extra() -> Value {
    json!({ "extra_metrics": ["requests_started_total", "requests_in_flight"] })
}

async fn two_workers() -> (App, Sidecar) {
    fixture::start(SidecarBuilder::inbound().concurrency(2), extra(), &[]).await
}

/// The page once that many requests are in flight. Until then the gauge may be lower, but never below
/// zero, which it would show as a very large number.
async fn in_flight_becomes(sidecar: &Sidecar, requests: i64, at_most: i64) -> Page {
    let becomes = |page: &Page| {
        let now = in_flight(page);
        assert!((0..=at_most).contains(&now), "{now} requests in flight");
        now == requests && !page.series(IN_FLIGHT).is_empty()
    };
    let what = format!("{requests} requests in flight");
    sidecar.page_when(&what, becomes).await.unwrap()
}

fn in_flight(page: &Page) -> i64 {
    page.sum(IN_FLIGHT, &[]).to_string().parse().unwrap()
}
