//! `response_first_byte_milliseconds`: the time that the duration of a slow stream hides.

use harness::{Client, Page, SidecarBuilder};
use serde_json::json;

use crate::fixture::{self, REQUESTS, get, only, sum};

const FIRST_BYTE: &str = "istio_response_first_byte_milliseconds";

#[tokio::test]
async fn a_slow_stream_has_a_long_duration_and_an_early_first_byte() {
    for start in [SidecarBuilder::inbound(), SidecarBuilder::outbound()] {
        let config = json!({ "extra_metrics": ["response_first_byte_milliseconds"] });
        let (_app, sidecar) = fixture::start(start, config, &[]).await;

        for _ in 0..3 {
            get(&sidecar, "/trickle/1000").await;
        }

        let page = first_bytes(&sidecar, 3).await;
        assert_eq!(page.families[FIRST_BYTE].kind, "histogram");
        let first_byte = page.sum(&format!("{FIRST_BYTE}_sum"), &[]);
        let duration = page.sum("istio_request_duration_milliseconds_sum", &[]);
        // Histograms are exact to about five per cent.
        assert!(duration > 2_700.0, "{duration}");
        assert!(first_byte < duration / 2.0, "{first_byte} of {duration}");
    }
}

#[tokio::test]
async fn a_slow_answer_has_a_late_first_byte() {
    let config = json!({ "extra_metrics": ["response_first_byte_milliseconds"] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/delay/400").await;

    let page = first_bytes(&sidecar, 1).await;
    let first_byte = page.sum(&format!("{FIRST_BYTE}_sum"), &[]);
    assert!(first_byte > 360.0, "{first_byte}");
    let labels = &only(&page, &format!("{FIRST_BYTE}_count")).labels;
    assert_eq!(labels, &only(&page, REQUESTS).labels);
}

#[tokio::test]
async fn a_request_without_an_answer_has_no_first_byte() {
    let config = json!({ "extra_metrics": ["response_first_byte_milliseconds"] });
    let (app, sidecar) = fixture::inbound(config, &[]).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    tokio::select! {
        answer = client.get("/hang") => panic!("{answer:?}"),
        arrived = app.reached("/hang") => drop(arrived.unwrap()),
    }
    drop(client);
    get(&sidecar, "/version").await;

    let page = sidecar.page_after(2).await.unwrap();
    let first_bytes = sum(&page, &format!("{FIRST_BYTE}_count"), &[]);
    assert_eq!(first_bytes, "1");
}

async fn first_bytes(sidecar: &harness::Sidecar, requests: u32) -> Page {
    let shown = |page: &Page| {
        ["istio_request_duration_milliseconds", FIRST_BYTE]
            .iter()
            .all(|name| page.sum(&format!("{name}_count"), &[]) >= f64::from(requests))
    };
    sidecar
        .page_when("first bytes on the page", shown)
        .await
        .unwrap()
}
