//! gRPC messages: counted while a stream is open, every `tcp_reporting_duration`, and when it is closed.

use harness::{Client, Mesh, Page, Sidecar, SidecarBuilder};
use serde_json::{Value, json};
use stats_core::labels::LABELS;

use crate::fixture::{REQUESTS, only, sum};

const REQUEST_MESSAGES: &str = "istio_request_messages_total";
const RESPONSE_MESSAGES: &str = "istio_response_messages_total";

#[tokio::test]
async fn the_messages_of_an_open_stream_are_counted_before_it_ends() {
    let mesh = mesh(json!({ "tcp_reporting_duration": "0.2s" })).await;
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();
    let mut call = client.call("/grpc/echo").await.unwrap();

    let mut messages = 0;
    for more in [3, 1, 2] {
        for _ in 0..more {
            call.exchange().await.unwrap();
            messages += 1;
        }
        for sidecar in [&mesh.inbound, &mesh.outbound] {
            let page = messages_on_page(sidecar, messages).await;
            assert_messages(&page, messages);
            assert!(page.series(REQUESTS).is_empty(), "the stream is still open");
        }
    }
    let trailers = call.finish().await.unwrap();

    assert_eq!(trailers["grpc-status"], "0");
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(1).await.unwrap();
        assert_messages(&page, messages);
        let grpc = [("request_protocol", "grpc"), ("grpc_response_status", "0")];
        assert_eq!(sum(&page, REQUESTS, &grpc), "1");
    }
}

/// More than are looked at on one tick.
#[tokio::test]
async fn each_of_many_open_streams_has_its_turn_to_be_reported() {
    const STREAMS: u32 = 250;
    let mesh = mesh(json!({ "tcp_reporting_duration": "0.2s" })).await;
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..STREAMS {
        calls.push(client.call("/grpc/echo").await.unwrap());
    }

    for round in 1..=2 {
        for call in &mut calls {
            call.exchange().await.unwrap();
        }
        for sidecar in [&mesh.inbound, &mesh.outbound] {
            let page = messages_on_page(sidecar, round * STREAMS).await;
            assert_messages(&page, round * STREAMS);
            assert!(page.series(REQUESTS).is_empty(), "all are still open");
        }
    }
    for call in calls {
        call.finish().await.unwrap();
    }

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(STREAMS).await.unwrap();
        assert_messages(&page, 2 * STREAMS);
    }
}

#[tokio::test]
async fn messages_have_the_first_twenty_labels_of_both_ends() {
    let mesh = mesh(json!({})).await;
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();

    let mut call = client.call("/grpc/echo").await.unwrap();
    call.exchange().await.unwrap();
    call.finish().await.unwrap();

    let mut names = LABELS[..20].to_vec();
    names.sort_unstable();
    for (sidecar, reporter) in [(&mesh.inbound, "destination"), (&mesh.outbound, "source")] {
        let page = sidecar.page_after(1).await.unwrap();
        let ends = [
            ("reporter", reporter),
            ("source_workload", "podinfo"),
            ("destination_workload", "podinfo"),
            ("destination_service_name", "podinfo"),
            (
                "source_principal",
                "spiffe://cluster.local/ns/test/sa/default",
            ),
            (
                "destination_principal",
                "spiffe://cluster.local/ns/test/sa/default",
            ),
        ];
        for name in [REQUEST_MESSAGES, RESPONSE_MESSAGES] {
            let series = only(&page, name);
            assert_eq!(series.label_names(), names, "{name}");
            assert!(series.has(&ends), "{series:?}");
            assert_eq!(page.families[name].kind, "counter");
        }
    }
}

#[tokio::test]
async fn the_rest_is_counted_when_a_stream_ends_however_it_ends() {
    // Longer than the call, so that only its end reports.
    let mesh = mesh(json!({ "tcp_reporting_duration": "3600s" })).await;
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();

    let mut finished = client.call("/grpc/echo").await.unwrap();
    for _ in 0..3 {
        finished.exchange().await.unwrap();
    }
    finished.finish().await.unwrap();
    let mut cancelled = client.call("/grpc/echo").await.unwrap();
    for _ in 0..4 {
        cancelled.exchange().await.unwrap();
    }
    drop(cancelled);

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(2).await.unwrap();
        assert_messages(&page, 7);
        for flags in ["-", "DR"] {
            assert_eq!(sum(&page, REQUESTS, &[("response_flags", flags)]), "1");
        }
    }
}

#[tokio::test]
async fn many_streams_at_once_are_counted_each() {
    let mesh = mesh(json!({ "tcp_reporting_duration": "0.1s" })).await;
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(client.call("/grpc/echo").await.unwrap());
    }

    for _ in 0..5 {
        for call in &mut calls {
            call.exchange().await.unwrap();
        }
    }
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        assert_messages(&messages_on_page(sidecar, 100).await, 100);
    }
    for call in calls {
        call.finish().await.unwrap();
    }

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        assert_messages(&sidecar.page_after(20).await.unwrap(), 100);
    }
}

#[tokio::test]
async fn a_custom_label_is_also_one_of_messages() {
    let config = json!({ "metrics": [{ "dimensions": { "path": "request.path" } }] });
    let (_app, sidecar) = SidecarBuilder::inbound()
        .http_filter_behind(grpc_stats())
        .plugin_config(config)
        .labels(&["path"])
        .start_with_app()
        .await
        .unwrap();
    let mut client = Client::http2(sidecar.traffic).await.unwrap();

    let mut call = client.call("/grpc/echo").await.unwrap();
    call.exchange().await.unwrap();
    call.finish().await.unwrap();

    let page = sidecar.page_after(1).await.unwrap();
    for name in [REQUEST_MESSAGES, RESPONSE_MESSAGES] {
        assert_eq!(sum(&page, name, &[("path", "/grpc/echo")]), "1", "{name}");
    }
}

#[tokio::test]
async fn nothing_else_than_grpc_has_messages() {
    let mesh = mesh(json!({ "tcp_reporting_duration": "0.1s" })).await;

    mesh.get("/version").await.unwrap();
    mesh.get("/trickle/500").await.unwrap();

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(2).await.unwrap();
        for name in [REQUEST_MESSAGES, RESPONSE_MESSAGES] {
            assert!(page.series(name).is_empty(), "{name}");
        }
    }
}

/// Reported while a stream is open, messages of a peer that is not known yet could end up in two series.
#[tokio::test]
async fn the_messages_of_an_unknown_peer_are_counted_at_the_end() {
    let (_app, sidecar) = SidecarBuilder::inbound()
        .http_filter_behind(grpc_stats())
        .plugin_config(json!({ "tcp_reporting_duration": "0.1s" }))
        .start_with_app()
        .await
        .unwrap();
    let mut client = Client::http2(sidecar.traffic).await.unwrap();

    let mut call = client.call("/grpc/echo").await.unwrap();
    for _ in 0..5 {
        call.exchange().await.unwrap();
    }
    call.finish().await.unwrap();

    let page = sidecar.page_after(1).await.unwrap();
    assert_messages(&page, 5);
    for name in [REQUEST_MESSAGES, RESPONSE_MESSAGES] {
        assert_eq!(only(&page, name).label("source_workload"), Some("unknown"));
    }
}

/// Envoy's own filter counts the messages; it is in front of ours in one sidecar, behind it in the other.
async fn mesh(config: Value) -> Mesh {
    Mesh::builder()
        .outbound(|sidecar| sidecar.http_filter(grpc_stats()))
        .inbound(|sidecar| sidecar.http_filter_behind(grpc_stats()))
        .both(|sidecar| sidecar.plugin_config(&config))
        .start()
        .await
        .unwrap()
}

fn grpc_stats() -> Value {
    json!({
        "name": "envoy.filters.http.grpc_stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
            "emit_filter_state": true,
        },
    })
}

async fn messages_on_page(sidecar: &Sidecar, messages: u32) -> Page {
    let shown = |page: &Page| {
        [REQUEST_MESSAGES, RESPONSE_MESSAGES]
            .iter()
            .all(|name| page.sum(name, &[]) >= f64::from(messages))
    };
    let what = format!("{messages} messages on the page");
    sidecar.page_when(&what, shown).await.unwrap()
}

fn assert_messages(page: &Page, messages: u32) {
    for name in [REQUEST_MESSAGES, RESPONSE_MESSAGES] {
        let series = only(page, name);
        assert_eq!(series.value.to_string(), messages.to_string(), "{name}");
        assert_eq!(series.label("destination_service_name"), Some("podinfo"));
    }
}
