//! The flags in a cluster's metadata: `istio.disable_mx` and, with `skip_external_clusters`, `istio.external`.

use harness::{App, Client, Sidecar, SidecarBuilder};
use serde_json::{Value, json};

use crate::expected::{assert_counted, outbound};
use crate::peer::{self, ID, METADATA};

#[tokio::test]
async fn a_cluster_that_disables_the_exchange_is_not_introduced_to() {
    let sidecar = SidecarBuilder::outbound().cluster_metadata("disable_mx", json!(true));

    assert!(!introduces(sidecar, json!({})).await);
}

#[tokio::test]
async fn a_cluster_that_does_not_quite_disable_the_exchange_is_introduced_to() {
    for value in [json!(false), json!("true"), json!(1)] {
        let sidecar = SidecarBuilder::outbound().cluster_metadata("disable_mx", value.clone());

        assert!(introduces(sidecar, json!({})).await, "{value}");
    }
}

#[tokio::test]
async fn external_clusters_are_introduced_to_unless_they_are_skipped() {
    let external = || SidecarBuilder::outbound().cluster_metadata("external", json!(true));
    let pass_through = || SidecarBuilder::outbound().cluster_name("PassthroughCluster");
    let skip = json!({ "skip_external_clusters": true });

    assert!(introduces(external(), json!({})).await);
    assert!(introduces(pass_through(), json!({})).await);
    assert!(!introduces(external(), skip.clone()).await);
    assert!(!introduces(pass_through(), skip.clone()).await);
    assert!(introduces(SidecarBuilder::outbound(), skip).await);
}

#[tokio::test]
async fn a_cluster_that_is_not_introduced_to_is_counted_all_the_same() {
    let sidecar = SidecarBuilder::outbound().cluster_metadata("disable_mx", json!(true));
    let (_app, sidecar) = start(sidecar, json!({})).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    // It replies to the exchange nonetheless.
    let metadata = peer::workload("bank", "ledger").replace('+', "%2B");
    let path = format!("/headers?{ID}=ledger-1&{METADATA}={metadata}");
    let answer = client.get(&path).await.unwrap();

    assert!(!answer.headers.contains_key(ID) && !answer.headers.contains_key(METADATA));
    let ledger = outbound(&[
        ("destination_workload", "ledger"),
        ("destination_workload_namespace", "bank"),
        ("destination_app", "ledger"),
        ("destination_canonical_service", "ledger"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(ledger, 1)]);
}

/// Whether the upstream receives the headers of the exchange. It never receives headers that the client forged.
async fn introduces(sidecar: SidecarBuilder, config: Value) -> bool {
    let (app, sidecar) = start(sidecar, config).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    let forged = peer::request_of("forged", "forged");
    client.send(forged).await.unwrap();

    let headers = &app.requests()[0].headers;
    for header in [ID, METADATA] {
        assert!(
            headers
                .get_all(&header)
                .iter()
                .all(|value| value != "forged")
        );
    }
    assert_eq!(headers.contains_key(ID), headers.contains_key(METADATA));
    headers.contains_key(ID)
}

async fn start(sidecar: SidecarBuilder, config: Value) -> (App, Sidecar) {
    sidecar
        .plugin_config(config)
        .start_with_app()
        .await
        .unwrap()
}
