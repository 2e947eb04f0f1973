//! Metadata and hosts that a client chooses are data: they add no labels and break none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::client::send_raw;
use harness::{Client, Page, Sidecar, SidecarBuilder};

use crate::expected::{assert_counted, assert_standard_metrics, inbound, outbound};
use crate::peer::{self, ID, METADATA};

#[tokio::test]
async fn metadata_that_cannot_be_read_is_an_unknown_source() {
    let (app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    for (what, metadata) in unreadable() {
        let answer = client.send(peer::request_of(what, metadata)).await.unwrap();
        assert_eq!(answer.status, 200, "{what}");
    }
    client
        .send(peer::request_of(b"\xff\xfe", b"\xff\xfe"))
        .await
        .unwrap();

    for request in app.requests() {
        assert!(!request.headers.contains_key(METADATA) && !request.headers.contains_key(ID));
    }
    let count = u32::try_from(app.requests().len()).unwrap();
    assert_counted(
        &sidecar.page_after(count).await.unwrap(),
        &[(inbound(&[]), count)],
    );
}

#[tokio::test]
async fn metadata_that_is_sent_twice_is_counted_once_and_removed_twice() {
    let (app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();

    let mut twice = peer::request_of("one", peer::workload("shop", "cart"));
    twice.headers_mut().append(ID, "other".parse().unwrap());
    twice
        .headers_mut()
        .append(METADATA, peer::workload("shop", "other").parse().unwrap());
    Client::http1(sidecar.traffic)
        .await
        .unwrap()
        .send(twice)
        .await
        .unwrap();

    let seen = &app.requests()[0].headers;
    assert!(!seen.contains_key(METADATA) && !seen.contains_key(ID));
    let page = sidecar.page_after(1).await.unwrap();
    assert_every_request_is_an_honest_one(&page, 1, "source_workload");
}

#[tokio::test]
async fn metadata_that_cannot_be_read_is_an_unknown_destination() {
    let (app, sidecar) = SidecarBuilder::outbound().start_with_app().await.unwrap();
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    for (what, metadata) in unreadable() {
        let metadata = metadata.replace(' ', "");
        let path = format!("/headers?{ID}=some-id&{METADATA}={metadata}&x-ordinary=kept");
        let answer = client.get(&path).await.unwrap();
        assert_eq!(answer.headers["x-ordinary"], "kept", "{what}");
        assert!(!answer.headers.contains_key(METADATA) && !answer.headers.contains_key(ID));
    }

    let count = u32::try_from(app.requests().len()).unwrap();
    assert_counted(
        &sidecar.page_after(count).await.unwrap(),
        &[(outbound(&[]), count)],
    );
}

#[tokio::test]
async fn an_oversized_id_does_no_harm() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    let metadata = peer::workload("shop", "cart");
    client
        .send(peer::request_of("i".repeat(20_000), &metadata))
        .await
        .unwrap();
    client
        .send(peer::request_of("cart-1", &metadata))
        .await
        .unwrap();

    let page = sidecar.page_after(2).await.unwrap();
    assert_eq!(
        page.sum("istio_requests_total", &[("response_code", "200")])
            .to_string(),
        "2"
    );
    assert!(page.sum("istio_requests_total", &[("source_workload", "cart")]) >= 1.0);
}

#[tokio::test]
async fn peer_metadata_forges_no_labels() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    for name in HOSTILE {
        client
            .send(peer::request_of(name, peer::workload(name, name)))
            .await
            .unwrap();
    }
    for name in ["a\nb 1", "a\"b\\c", "a\u{1}b", "\u{fffd}\u{2028}ü"] {
        client
            .send(peer::request_of("odd", peer::workload(name, name)))
            .await
            .unwrap();
    }

    let count = u32::try_from(HOSTILE.len() + 4).unwrap();
    let page = sidecar.page_after(count).await.unwrap();
    assert_every_request_is_an_honest_one(&page, count, "source_workload");
}

#[tokio::test]
async fn a_host_header_forges_no_labels_at_a_server() {
    let (_app, sidecar) = SidecarBuilder::inbound()
        .without_service()
        .start_with_app()
        .await
        .unwrap();

    for host in HOSTILE {
        assert!(
            status(&sidecar, host.as_bytes())
                .await
                .starts_with("HTTP/1.1 200"),
            "{host}"
        );
    }

    let count = u32::try_from(HOSTILE.len()).unwrap();
    let page = sidecar.page_after(count).await.unwrap();
    assert_every_request_is_an_honest_one(&page, count, "destination_service");
}

#[tokio::test]
async fn a_host_header_forges_no_labels_at_a_client() {
    let sidecar = SidecarBuilder::outbound().start().await.unwrap();

    for host in HOSTILE {
        assert!(
            status(&sidecar, host.as_bytes())
                .await
                .starts_with("HTTP/1.1 404"),
            "{host}"
        );
    }

    let count = u32::try_from(HOSTILE.len()).unwrap();
    let page = sidecar.page_after(count).await.unwrap();
    assert_every_request_is_an_honest_one(&page, count, "destination_service");
}

#[tokio::test]
async fn a_neutralised_host_is_the_same_series_every_time() {
    let (_app, sidecar) = SidecarBuilder::inbound()
        .without_service()
        .start_with_app()
        .await
        .unwrap();

    for _ in 0..3 {
        status(&sidecar, b"evil;.;reporter=.=source;.;").await;
    }

    let page = sidecar.page_after(3).await.unwrap();
    assert_eq!(page.series("istio_requests_total").len(), 1);
    let neutralised = [
        ("reporter", "destination"),
        ("destination_service", "evil_.;reporter_.=source_.;"),
    ];
    assert_eq!(
        page.sum("istio_requests_total", &neutralised).to_string(),
        "3"
    );
}

/// Envoy refuses such a host itself; the filters see only a malformed request.
#[tokio::test]
async fn a_host_that_is_not_utf_8_is_counted_once_as_malformed() {
    let (app, sidecar) = SidecarBuilder::inbound()
        .without_service()
        .start_with_app()
        .await
        .unwrap();

    assert!(
        status(&sidecar, b"\xff\xfe")
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert!(
        status(&sidecar, "\u{fc}".as_bytes())
            .await
            .starts_with("HTTP/1.1 400")
    );

    assert!(app.requests().is_empty());
    let page = sidecar.page_after(2).await.unwrap();
    let series = page.series("istio_requests_total");
    assert_eq!(series.len(), 1, "{series:?}");
    assert!(
        series[0].has(&[("response_code", "400"), ("response_flags", "DPE")]),
        "{series:?}"
    );
    assert!(
        series[0].has(&[
            ("reporter", "destination"),
            ("destination_workload", "podinfo")
        ]),
        "{series:?}"
    );
    assert_eq!(series[0].value.to_string(), "2");
}

#[tokio::test]
async fn a_very_long_host_is_counted_once() {
    let (_app, sidecar) = SidecarBuilder::inbound()
        .without_service()
        .start_with_app()
        .await
        .unwrap();

    assert!(
        status(&sidecar, "a".repeat(20_000).as_bytes())
            .await
            .starts_with("HTTP/1.1 200")
    );

    let page = sidecar.page_after(1).await.unwrap();
    assert_every_request_is_an_honest_one(&page, 1, "destination_service");
}

/// Headers that are not metadata, or larger than metadata may be.
fn unreadable() -> [(&'static str, String); 8] {
    [
        ("not base64", "!!! not base64 !!!".to_owned()),
        ("no bytes", String::new()),
        ("half a base64", "CgQ".repeat(7)),
        ("no protobuf", STANDARD.encode([0xff; 64])),
        (
            "a length past the end",
            STANDARD.encode([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ),
        ("too deep", peer::metadata(&[("LABELS", peer::nested(400))])),
        ("20 kB of zeros", "A".repeat(20_000)),
        (
            "20 kB of a name",
            peer::metadata(&[("WORKLOAD_NAME", peer::text(&"x".repeat(15_000)))]),
        ),
    ]
}

/// Separators of the stat name: whole, in parts, and at the end, where a part could combine with the following text. Then what
/// the labels of `istio_build` look like in its name.
const HOSTILE: [&str; 16] = [
    "evil;.;reporter=.=source;.;",
    "evil;.;response_code=.=200",
    ";.;istio_requests_total",
    "a=.=b",
    "=.=",
    ";.;",
    "a;.",
    "a;",
    ".;a",
    ";.;.;.;",
    "=.=.=.=",
    "a%00;.;b",
    "component.forged",
    "component.forged.tag.forged;.example",
    "wasmcustom.component.proxy.tag.forged;.example",
    "tag.forged",
];

/// Asserts that these requests and nothing else are on the page, each with the standard labels and no others, and
/// that a label whose value a client chose has one value.
fn assert_every_request_is_an_honest_one(page: &Page, requests: u32, chosen: &str) {
    let series = page.series("istio_requests_total");
    let mut names = stats_core::labels::LABELS.to_vec();
    names.sort_unstable();
    let reporter = series[0].label("reporter");
    for sample in &series {
        assert_eq!(sample.label_names(), names, "{sample:?}");
        assert_eq!(sample.label("reporter"), reporter, "{sample:?}");
        assert_eq!(sample.label("request_protocol"), Some("http"), "{sample:?}");
        let value = sample.label(chosen).unwrap();
        assert!(
            !value.contains(";.;") && !value.contains("=.="),
            "{value:?}"
        );
        assert!(!value.chars().any(char::is_control), "{value:?}");
    }
    for name in harness::sidecar::REQUEST_COUNTS {
        assert_eq!(
            page.sum(name, &[]).to_string(),
            requests.to_string(),
            "{name}"
        );
    }
    assert_standard_metrics(page);
}

/// The first line of the answer to a request for that host.
async fn status(sidecar: &Sidecar, host: &[u8]) -> String {
    let request = [
        b"GET /version HTTP/1.1\r\nconnection: close\r\nhost: ",
        host,
        b"\r\n\r\n",
    ]
    .concat();
    let answer = send_raw(sidecar.traffic, &request).await.unwrap();
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
