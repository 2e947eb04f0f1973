//! `zero_initialize`: a query for successes or errors of a known peer returns zero instead of no value.

use harness::Mesh;
use harness::client::request;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::fixture::{self, REQUESTS, get, sum};

#[tokio::test]
async fn the_first_request_of_a_known_peer_brings_success_and_error_series_at_zero() {
    let mesh = Mesh::builder().both(|sidecar| sidecar.plugin_config(zeroes()));
    let mesh = mesh.start().await.unwrap();

    mesh.get("/status/404").await.unwrap();

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(1).await.unwrap();
        let mut series = page.series(REQUESTS);
        series.sort_by_key(|sample| sample.label("response_code"));
        let counts = series.iter().map(|sample| {
            (
                sample.label("response_code").unwrap(),
                sample.value.to_string(),
            )
        });
        let zero = || "0".to_owned();
        let expected = [("200", zero()), ("404", "1".to_owned()), ("500", zero())];
        assert_eq!(counts.collect::<Vec<_>>(), expected);
        // Except for the code, the labels are those of a request's series.
        for sample in &series {
            assert_eq!(sample.labels.len(), stats_core::labels::LABELS.len());
            let both = [
                ("source_workload", "podinfo"),
                ("destination_workload", "podinfo"),
                ("response_flags", "-"),
            ];
            assert!(sample.has(&both), "{sample:?}");
        }
    }
}

#[tokio::test]
async fn what_was_zero_grows_in_place() {
    let mesh = Mesh::builder().both(|sidecar| sidecar.plugin_config(zeroes()));
    let mesh = mesh.start().await.unwrap();

    for path in ["/version", "/status/500", "/version"] {
        mesh.get(path).await.unwrap();
    }

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(3).await.unwrap();
        assert_eq!(page.series(REQUESTS).len(), 2);
        for (code, count) in [("200", "2"), ("500", "1")] {
            assert_eq!(sum(&page, REQUESTS, &[("response_code", code)]), count);
        }
    }
}

#[tokio::test]
async fn grpc_zeroes_have_a_status_of_grpc() {
    let mesh = Mesh::builder().both(|sidecar| sidecar.plugin_config(zeroes()));
    let mesh = mesh.start().await.unwrap();

    let mut client = harness::Client::http2(mesh.outbound.traffic).await.unwrap();
    let mut call = request(Method::POST, "/grpc/trailers/5").unwrap();
    let headers = call.headers_mut();
    headers.insert(CONTENT_TYPE, "application/grpc".parse().unwrap());
    client.send(call).await.unwrap();

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(1).await.unwrap();
        for (status, count) in [("5", "1"), ("0", "0")] {
            let labels = [
                ("grpc_response_status", status),
                ("request_protocol", "grpc"),
            ];
            let series = page.series(REQUESTS);
            let found = series.iter().filter(|sample| sample.has(&labels));
            let counts: Vec<_> = found.map(|sample| sample.value.to_string()).collect();
            assert_eq!(counts, [count], "{status}: {series:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_peer_brings_none() {
    let (_app, sidecar) = fixture::inbound(zeroes(), &[]).await;

    get(&sidecar, "/status/404").await;

    let page = sidecar.page_after(1).await.unwrap();
    assert_eq!(page.series(REQUESTS).len(), 1);
}

fn zeroes() -> Value {
    json!({ "zero_initialize": true })
}
