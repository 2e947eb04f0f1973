//! `max_series` and `max_peer_cache_size`, `disable_host_header_fallback`: the bounds on what a client can cause.

use harness::SidecarBuilder;
use serde_json::json;

use crate::expected::{assert_counted, inbound, outbound};
use crate::fixture::{self, REQUESTS, client, get, sum};
use crate::peer;

#[tokio::test]
async fn requests_beyond_the_most_series_are_counted_in_one_more() {
    let (_app, sidecar) = fixture::inbound(json!({ "max_series": 3 }), &[]).await;
    let mut client = client(&sidecar).await;

    for _ in 0..2 {
        for code in 400..420 {
            client.get(&format!("/status/{code}")).await.unwrap();
        }
    }

    let page = sidecar.page_after(40).await.unwrap();
    assert_eq!(page.series(REQUESTS).len(), 4);
    for code in ["400", "401", "402"] {
        assert_eq!(sum(&page, REQUESTS, &[("response_code", code)]), "2");
    }
    let overflow = [("response_code", "overflow"), ("reporter", "destination")];
    assert_eq!(sum(&page, REQUESTS, &overflow), "34");
}

#[tokio::test]
async fn a_custom_label_without_bounds_has_the_same_bound() {
    let config = json!({
        "max_series": 5,
        "metrics": [{ "dimensions": { "path": "request.path" } }],
    });
    let (_app, sidecar) = fixture::inbound(config, &["path"]).await;
    let mut client = client(&sidecar).await;

    for id in 0..50 {
        client.get(&format!("/{id}")).await.unwrap();
    }

    let page = sidecar.page_after(50).await.unwrap();
    assert!(
        page.series(REQUESTS).len() <= 6,
        "{}",
        page.series(REQUESTS).len()
    );
    assert_eq!(sum(&page, REQUESTS, &[]), "50");
    assert_eq!(sum(&page, REQUESTS, &[("path", "/0")]), "1");
    assert_eq!(sum(&page, REQUESTS, &[("path", "overflow")]), "45");
}

#[tokio::test]
async fn peers_are_known_also_without_a_cache_and_with_a_small_one() {
    for size in [0, 1] {
        let config = json!({ "max_peer_cache_size": size });
        let (_app, sidecar) = fixture::inbound(config, &[]).await;
        let mut client = client(&sidecar).await;

        for name in ["cart", "ledger", "cart", "ledger"] {
            let request = peer::request_of(name, peer::workload("shop", name));
            client.send(request).await.unwrap();
        }

        let expected = ["cart", "ledger"].map(|name| (inbound(&peer::source("shop", name)), 2));
        assert_counted(&sidecar.page_after(4).await.unwrap(), &expected);
    }
}

#[tokio::test]
async fn without_the_fallback_a_host_header_names_no_service() {
    let config = json!({ "disable_host_header_fallback": true });
    let unnamed = [("destination_service_namespace", "unknown")];
    let host = [
        ("destination_service", "unknown"),
        ("destination_service_name", "unknown"),
    ];
    let local = [
        ("destination_service", "podinfo"),
        ("destination_service_name", "podinfo"),
    ];
    for (sidecar, expected) in [
        (SidecarBuilder::inbound(), inbound(&local)),
        (
            SidecarBuilder::outbound(),
            outbound(&[unnamed.as_slice(), &host].concat()),
        ),
    ] {
        let sidecar = sidecar.without_service();
        let (_app, sidecar) = fixture::start(sidecar, config.clone(), &[]).await;

        get(&sidecar, "/version").await;

        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
    }
}
