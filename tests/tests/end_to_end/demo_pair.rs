//! The main job: ten requests of podinfo to podinfo, over mutual TLS, as the expected page shows them.

use harness::{Mesh, Page, ProxyNode};
use tokio::sync::OnceCell;

use crate::expected::{self, CLUSTER, FAMILIES, Labels, assert_counted};
use crate::golden::assert_golden;

const PRINCIPAL: &str = "spiffe://cluster.local/ns/test/sa/default";

#[tokio::test]
async fn ten_requests_are_one_series_on_each_side_with_the_expected_labels() {
    let Pages { inbound, outbound } = ten_requests().await;

    assert_counted(
        inbound,
        &[(podinfo_to_podinfo("destination", "mutual_tls"), 10)],
    );
    assert_counted(outbound, &[(podinfo_to_podinfo("source", "unknown"), 10)]);
}

#[tokio::test]
async fn the_page_has_the_standard_metrics_with_their_types_and_no_others() {
    let Pages { inbound, outbound } = ten_requests().await;

    for page in [inbound, outbound] {
        let families = page
            .families
            .iter()
            .filter(|(name, _)| name.contains("istio_"));
        let families: Vec<(&str, &str)> = families
            .map(|(name, family)| (name.as_str(), family.kind.as_str()))
            .collect();
        assert_eq!(families, FAMILIES);
    }
}

#[tokio::test]
async fn a_histogram_has_the_buckets_that_dashboards_know() {
    let Pages { inbound, outbound } = ten_requests().await;

    for page in [inbound, outbound] {
        for metric in [
            "request_duration_milliseconds",
            "request_bytes",
            "response_bytes",
        ] {
            let buckets = page.series(&format!("istio_{metric}_bucket"));
            let bounds: Vec<&str> = buckets
                .iter()
                .filter_map(|bucket| bucket.label("le"))
                .collect();
            assert_eq!(bounds.join(" "), BOUNDS, "{metric}");
            assert_eq!(buckets.last().unwrap().value.to_string(), "10", "{metric}");
            assert!(
                buckets.is_sorted_by(|one, next| one.value <= next.value),
                "{metric}: {buckets:?}"
            );
        }
        // Each request and each response is a few hundred bytes.
        for metric in ["istio_request_bytes", "istio_response_bytes"] {
            assert_eq!(
                page.sum(&format!("{metric}_bucket"), &[("le", "50")])
                    .to_string(),
                "0"
            );
            assert_eq!(
                page.sum(&format!("{metric}_bucket"), &[("le", "5000")])
                    .to_string(),
                "10"
            );
        }
    }
}

#[tokio::test]
async fn the_build_gauge_carries_the_proxys_version() {
    let node = ProxyNode {
        istio_version: "1.30.1-alpha.2".to_owned(),
        ..ProxyNode::podinfo()
    };
    let mesh = Mesh::builder()
        .inbound(|sidecar| sidecar.node(node))
        .start()
        .await
        .unwrap();

    let page = mesh.inbound.page_when("a build gauge", |page| {
        page.families.contains_key("istio_build")
    });
    let page = page.await.unwrap();

    let build = &page.families["istio_build"];
    let labels = [("component", "proxy"), ("tag", "1.30.1-alpha.2")];
    assert_eq!(build.kind, "gauge");
    assert_eq!(build.samples.len(), 1);
    assert_eq!(
        build.samples[0].labels,
        labels.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(build.samples[0].value.to_string(), "1");
}

#[tokio::test]
async fn the_whole_page_is_the_golden_one() {
    let Pages { inbound, outbound } = ten_requests().await;

    assert_golden("demo.destination.prom", inbound);
    assert_golden("demo.source.prom", outbound);
}

#[tokio::test]
async fn no_label_of_the_source_is_mistaken_for_one_of_the_destination() {
    let cart = ProxyNode {
        service_account: "cart-sa".to_owned(),
        cluster: "east".to_owned(),
        ..ProxyNode::new("shop", "cart")
    };
    let ledger = ProxyNode {
        service_account: "ledger-sa".to_owned(),
        cluster: "west".to_owned(),
        ..ProxyNode::new("bank", "ledger")
    };
    let labelled = |node: ProxyNode| {
        let name = node.workload.clone();
        node.label("app", &format!("{name}-app"))
            .label("version", &format!("{name}-v2"))
            .label(
                "service.istio.io/canonical-name",
                &format!("{name}-canonical"),
            )
            .label("service.istio.io/canonical-revision", &format!("{name}-r7"))
    };
    let mesh = Mesh::builder()
        .outbound(|sidecar| sidecar.node(labelled(cart)))
        .inbound(|sidecar| sidecar.node(labelled(ledger)))
        .both(|sidecar| sidecar.service("bank-front", "books"))
        .start()
        .await
        .unwrap();

    mesh.get("/version").await.unwrap();

    let both = [
        ("source_workload", "cart"),
        ("source_workload_namespace", "shop"),
        (
            "source_principal",
            "spiffe://cluster.local/ns/shop/sa/cart-sa",
        ),
        ("source_app", "cart-app"),
        ("source_version", "cart-v2"),
        ("source_canonical_service", "cart-canonical"),
        ("source_canonical_revision", "cart-r7"),
        ("source_cluster", "east"),
        ("destination_workload", "ledger"),
        ("destination_workload_namespace", "bank"),
        (
            "destination_principal",
            "spiffe://cluster.local/ns/bank/sa/ledger-sa",
        ),
        ("destination_app", "ledger-app"),
        ("destination_version", "ledger-v2"),
        ("destination_canonical_service", "ledger-canonical"),
        ("destination_canonical_revision", "ledger-r7"),
        ("destination_cluster", "west"),
        ("destination_service", "books.bank-front.svc.cluster.local"),
        ("destination_service_name", "books"),
        ("request_protocol", "http"),
        ("response_flags", "-"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
    ];
    // Inbound, the namespace of the proxy's own node wins over that of the service's metadata.
    let inbound = [
        ("reporter", "destination"),
        ("destination_service_namespace", "bank"),
        ("connection_security_policy", "mutual_tls"),
    ];
    let outbound = [
        ("reporter", "source"),
        ("destination_service_namespace", "bank-front"),
        ("connection_security_policy", "unknown"),
    ];
    assert_counted(
        &mesh.inbound.page_after(1).await.unwrap(),
        &[(expected::labels(&[&both, &inbound]), 1)],
    );
    assert_counted(
        &mesh.outbound.page_after(1).await.unwrap(),
        &[(expected::labels(&[&both, &outbound]), 1)],
    );
}

/// Both pages after the ten requests.
struct Pages {
    inbound: Page,
    outbound: Page,
}

/// Sent once for all tests, which examine the same pages.
async fn ten_requests() -> &'static Pages {
    static PAGES: OnceCell<Pages> = OnceCell::const_new();
    let send = async || {
        let mesh = Mesh::builder().start().await.unwrap();
        let mut client = mesh.client().await.unwrap();
        for _ in 0..10 {
            assert_eq!(client.get("/version").await.unwrap().status, 200);
        }
        Pages {
            inbound: mesh.inbound.page_after(10).await.unwrap(),
            outbound: mesh.outbound.page_after(10).await.unwrap(),
        }
    };
    PAGES.get_or_init(send).await
}

fn podinfo_to_podinfo(reporter: &str, connection_security_policy: &str) -> Labels {
    expected::labels(&[&[
        ("reporter", reporter),
        ("source_workload", "podinfo"),
        ("source_workload_namespace", "test"),
        ("source_principal", PRINCIPAL),
        ("source_app", "podinfo"),
        ("source_version", "unknown"),
        ("source_canonical_service", "podinfo"),
        ("source_canonical_revision", "latest"),
        ("source_cluster", CLUSTER),
        ("destination_workload", "podinfo"),
        ("destination_workload_namespace", "test"),
        ("destination_principal", PRINCIPAL),
        ("destination_app", "podinfo"),
        ("destination_version", "unknown"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_service_name", "podinfo"),
        ("destination_service_namespace", "test"),
        ("destination_canonical_service", "podinfo"),
        ("destination_canonical_revision", "latest"),
        ("destination_cluster", CLUSTER),
        ("request_protocol", "http"),
        ("response_flags", "-"),
        ("connection_security_policy", connection_security_policy),
        ("response_code", "200"),
        ("grpc_response_status", ""),
    ]])
}

const BOUNDS: &str = "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 +Inf";
