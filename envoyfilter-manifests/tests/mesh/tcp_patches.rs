//! The generated `EnvoyFilter`s for TCP, applied as istiod and its agent do, in a pair of proxies with a TCP server behind.

use std::fs;
use std::path::Path;

use harness::{Mesh, Page, Roles, Sidecar, SidecarBuilder, TcpApp, Upstream, install};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::patches::served;
use crate::support::{IMAGE, SHA256, manifests, objects, parse};
use crate::tcp_dashboards::{CLOSED, OPENED, RECEIVED, REQUEST, SENT, exchange};

const GREETING: &[u8] = b"220 ready\r\n";

#[tokio::test]
async fn a_pair_with_the_patched_in_filter_counts_connections() {
    let ecds = TempDir::new().unwrap();
    let app = TcpApp::start(GREETING).await.unwrap();
    let module = install::module().unwrap();
    let mesh = Mesh::builder()
        .both(|sidecar| sidecar.roles(Roles::None))
        .inbound(|sidecar| {
            let sidecar = sidecar.upstream(Upstream::At(app.address()));
            sidecar.tcp_filter(patched("inbound", ecds.path(), &module))
        })
        .outbound(|sidecar| sidecar.tcp_filter(patched("outbound", ecds.path(), &module)))
        .start()
        .await
        .unwrap();
    for _ in 0..10 {
        exchange(mesh.outbound.traffic, GREETING).await.unwrap();
    }

    let [greeting, request] = [GREETING, REQUEST].map(|bytes| 10 * bytes.len());
    for (sidecar, reporter) in [(&mesh.inbound, "destination"), (&mesh.outbound, "source")] {
        let all_closed = |page: &Page| page.sum(CLOSED, &[]) >= 10.0;
        let page = sidecar.page_when("ten ended connections", all_closed);
        let page = page.await.unwrap();
        for (metric, total) in [
            (OPENED, 10),
            (CLOSED, 10),
            (SENT, greeting + request),
            (RECEIVED, request),
        ] {
            let labels = [
                ("reporter", reporter),
                ("request_protocol", "tcp"),
                ("destination_service", "podinfo.test.svc.cluster.local"),
            ];
            let sum = page.sum(metric, &labels).to_string();
            assert_eq!(sum, total.to_string(), "{metric} of {reporter}");
            assert_eq!(page.series(metric).len(), 1, "{metric} of {reporter}");
        }
    }
}

/// A listener of a gateway has no direction of its own, so that the patch has to say it; this one's would be inbound.
#[tokio::test]
async fn the_patch_of_gateways_reports_as_source() {
    let ecds = TempDir::new().unwrap();
    let app = TcpApp::start(GREETING).await.unwrap();
    let filter = patched("gateway", ecds.path(), &install::module().unwrap());
    let gateway = sidecar_with(filter, &app).await;
    exchange(gateway.traffic, GREETING).await.unwrap();

    let is_closed = |page: &Page| page.sum(CLOSED, &[]) >= 1.0;
    let page = gateway.page_when("an ended connection", is_closed).await;
    let page = page.unwrap();
    let closed = page.series(CLOSED);
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert!(closed[0].has(&[("reporter", "source"), ("source_workload", "podinfo")]));
}

/// A file that is not a module: connections pass nevertheless.
#[tokio::test]
async fn with_a_broken_module_connections_pass_uncounted() {
    let directory = TempDir::new().unwrap();
    let broken = directory.path().join("broken.wasm");
    fs::write(&broken, b"\0asm and no more").unwrap();
    pass_uncounted(patched("inbound", directory.path(), &broken)).await;
}

/// The module is not fetched within the timeout: the filter that stands in for it lets connections pass.
#[tokio::test]
async fn without_a_module_connections_pass_uncounted() {
    let directory = TempDir::new().unwrap();
    let nowhere = directory.path().join("nothing-comes.json");
    fs::write(&nowhere, json!({ "resources": [] }).to_string()).unwrap();
    let (_, mut filter) = patches("inbound");
    filter["config_discovery"]["config_source"] =
        json!({ "initial_fetch_timeout": "1s", "path_config_source": { "path": nowhere } });
    pass_uncounted(filter).await;
}

async fn sidecar_with(filter: Value, app: &TcpApp) -> Sidecar {
    let sidecar = SidecarBuilder::inbound()
        .roles(Roles::None)
        .upstream(Upstream::At(app.address()))
        .tcp_filter(filter);
    sidecar.start().await.unwrap()
}

async fn pass_uncounted(filter: Value) {
    let app = TcpApp::start(GREETING).await.unwrap();
    let sidecar = sidecar_with(filter, &app).await;
    exchange(sidecar.traffic, GREETING).await.unwrap();
    assert!(sidecar.page().await.unwrap().series(OPENED).is_empty());
}

/// What the module counts is off in Istio's own filter, and only with TCP in the module.
#[test]
fn native_tcp_metrics_are_off_where_the_module_makes_them() {
    let off = |settings: Value| -> Vec<String> {
        let telemetry = &objects(&manifests(settings), "istio/telemetry.yaml")[0];
        let overrides = telemetry["spec"]["metrics"][0]["overrides"].as_array();
        let metrics = overrides.unwrap().iter().map(|one| &one["match"]["metric"]);
        metrics
            .filter_map(|metric| Some(metric.as_str()?.to_owned()))
            .filter(|metric| metric.starts_with("TCP_"))
            .collect()
    };
    assert!(off(json!({ "image": IMAGE })).is_empty());
    assert_eq!(
        off(json!({ "image": IMAGE, "tcp": "module" })),
        [
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
        ]
    );
}

/// In gateways as in sidecars: before `tcp_proxy`, with the direction of the place.
#[test]
fn each_place_has_a_patch_of_its_own() {
    for place in ["inbound", "outbound", "gateway"] {
        let (extension, filter) = patches(place);
        assert_eq!(filter["name"], format!("mixerless.tcp.{place}"));
        let config = extension.pointer("/typed_config/config/configuration/value");
        let config: Value = serde_json::from_str(config.unwrap().as_str().unwrap()).unwrap();
        assert_eq!(config["direction"], place);
    }
}

/// The filter as istiod and the agent would hand it to Envoy.
fn patched(place: &str, ecds: &Path, module: &Path) -> Value {
    let (extension, filter) = patches(place);
    served(
        extension,
        filter,
        &ecds.join(format!("{place}.json")),
        module,
    )
}

/// The extension and the filter of the patches for a context.
fn patches(place: &str) -> (Value, Value) {
    let bundle = manifests(json!({ "image": IMAGE, "sha256": SHA256, "tcp": "module" }));
    let envoy_filter = objects(&bundle, &format!("istio/envoyfilter-tcp-{place}.yaml")).remove(0);
    // Through text and back, as with kubectl.
    let envoy_filter = parse(&envoy_filter.to_string()).remove(0);
    let [module, insertion] = &envoy_filter["spec"]["configPatches"].as_array().unwrap()[..] else {
        panic!("two patches: {envoy_filter}");
    };
    let context = match place {
        "gateway" => json!("GATEWAY"),
        place => json!(format!("SIDECAR_{}", place.to_uppercase())),
    };
    for patch in [module, insertion] {
        assert_eq!(patch["match"]["context"], context);
    }
    assert_eq!(module["applyTo"], "EXTENSION_CONFIG");
    assert_eq!(insertion["applyTo"], "NETWORK_FILTER");
    assert_eq!(insertion["patch"]["operation"], "INSERT_BEFORE");
    // The harness puts a filter at the same position.
    let before = insertion.pointer("/match/listener/filterChain/filter/name");
    assert_eq!(before, Some(&json!("envoy.filters.network.tcp_proxy")));
    (
        module["patch"]["value"].clone(),
        insertion["patch"]["value"].clone(),
    )
}
