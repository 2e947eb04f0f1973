//! The generated `EnvoyFilter` patches, applied as istiod and its agent do, in the proxies of the demo pair: the
//! generated files are what is tested.

use std::fs;
use std::path::Path;

use harness::{Mesh, Page, Roles, SidecarBuilder, install};
use serde_json::{Value, json};
use stats_core::labels::LABELS;
use tempfile::TempDir;

use crate::bare_envoy::BareEnvoy;
use crate::support::{IMAGE, SHA256, manifests, objects, parse};

#[tokio::test]
async fn a_pair_with_the_patched_in_filter_counts_and_exchanges() {
    let ecds = TempDir::new().unwrap();
    let mesh = Mesh::builder()
        .inbound(|sidecar| patched(sidecar, "inbound", ecds.path()))
        .outbound(|sidecar| patched(sidecar, "outbound", ecds.path()))
        .start()
        .await
        .unwrap();
    for _ in 0..10 {
        mesh.get("/version").await.unwrap();
    }

    for (sidecar, reporter) in [(&mesh.inbound, "destination"), (&mesh.outbound, "source")] {
        let page = sidecar.page_after(10).await.unwrap();
        let requests = page.series("istio_requests_total");
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert_eq!(requests[0].value.to_string(), "10");
        assert!(requests[0].has(&[
            ("reporter", reporter),
            ("source_workload", "podinfo"),
            ("destination_workload", "podinfo"),
            ("destination_service", "podinfo.test.svc.cluster.local"),
            ("response_code", "200"),
        ]));
        let mut labels: Vec<&str> = requests[0]
            .labels
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let mut expected = LABELS.to_vec();
        labels.sort_unstable();
        expected.sort_unstable();
        assert_eq!(labels, expected);
    }
}

/// The pair above takes its rules for labels from the harness; a mesh takes them from `extraStatTags`.
#[test]
fn the_stat_tags_are_the_labels() {
    let bundle = manifests(json!({ "image": IMAGE }));
    let values = &objects(&bundle, "mesh-config/extra-stat-tags.yaml")[0];
    assert_eq!(
        values["meshConfig"]["defaultConfig"]["extraStatTags"],
        json!(LABELS)
    );
    let annotation = &objects(&bundle, "mesh-config/pod-annotation.yaml")[0];
    let annotation =
        annotation.pointer("/spec/template/metadata/annotations/sidecar.istio.io~1extraStatTags");
    assert_eq!(annotation, Some(&json!(LABELS.join(","))));
}

/// Istio gives `CLIENT` resources to gateways as well as to outbound listeners, and `SERVER` ones to inbound listeners.
#[test]
fn an_extension_has_one_resource_for_each_mode_and_each_says_its_direction() {
    for (method, file, config) in [
        (
            "wasm-plugin",
            "istio/wasm-plugin.yaml",
            "/spec/pluginConfig",
        ),
        (
            "traffic-extension",
            "istio/traffic-extension.yaml",
            "/spec/wasm/pluginConfig",
        ),
    ] {
        let bundle = manifests(json!({ "image": IMAGE, "method": method }));
        let [server, client, waypoint] = &objects(&bundle, file)[..] else {
            panic!("three resources in {file}");
        };
        assert_ne!(server["metadata"]["name"], client["metadata"]["name"]);
        assert_eq!(server["spec"]["match"], json!([{ "mode": "SERVER" }]));
        assert_eq!(client["spec"]["match"], json!([{ "mode": "CLIENT" }]));
        let inbound = json!({ "direction": "inbound", "disable_host_header_fallback": true });
        assert_eq!(server.pointer(config), Some(&inbound));
        // Gateways are among these, and their clients may say anything in the Host header.
        let outbound = json!({ "direction": "outbound", "disable_host_header_fallback": true });
        assert_eq!(client.pointer(config), Some(&outbound));
        assert_is_for_waypoints(waypoint, config);
    }
}

/// Before 1.16 a `WasmPlugin` with `match` applies to every listener: two of them would count each request twice.
#[test]
fn an_istio_without_traffic_selectors_has_one_wasm_plugin_for_all_directions() {
    let settings = json!({ "image": IMAGE, "method": "wasm-plugin", "istio-version": "1.15" });
    let bundle = manifests(settings);
    let [plugin] = &objects(&bundle, "istio/wasm-plugin.yaml")[..] else {
        panic!("one resource");
    };
    assert_eq!(plugin["spec"].get("match"), None);
    assert_eq!(
        plugin["spec"]["pluginConfig"],
        json!({ "direction": "auto", "disable_host_header_fallback": true })
    );
}

/// No `EnvoyFilter` applies to a waypoint, so that one more resource comes with them.
#[test]
fn envoy_filters_bring_a_wasm_plugin_for_waypoints_where_istio_knows_such() {
    let file = "istio/wasm-plugin-waypoint.yaml";
    let bundle = manifests(json!({ "image": IMAGE }));
    let [waypoint] = &objects(&bundle, file)[..] else {
        panic!("one resource");
    };
    assert_is_for_waypoints(waypoint, "/spec/pluginConfig");

    let before = manifests(json!({ "image": IMAGE, "istio-version": "1.24" }));
    assert!(before.files().iter().all(|one| one.path != file));
    let telemetry = before
        .files()
        .iter()
        .find(|one| one.path == "istio/telemetry.yaml");
    assert!(
        telemetry
            .unwrap()
            .text
            .contains("turns off the metrics of waypoints")
    );
}

fn assert_is_for_waypoints(resource: &Value, config: &str) {
    assert_eq!(
        resource["spec"]["targetRefs"],
        json!([{ "group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint" }])
    );
    assert_eq!(resource["spec"].get("match"), None);
    let wanted = json!({
        "direction": "inbound",
        "disable_host_header_fallback": true,
        "reporter": "SERVER_GATEWAY",
    });
    assert_eq!(resource.pointer(config), Some(&wanted));
}

#[test]
fn a_direction_of_the_users_own_is_kept_everywhere() {
    let config = json!({ "direction": "auto" });
    for (settings, file) in [
        (json!({}), "istio/envoyfilter-http-inbound.yaml"),
        (json!({}), "istio/envoyfilter-http-gateway.yaml"),
        (json!({ "method": "wasm-plugin" }), "istio/wasm-plugin.yaml"),
        (
            json!({ "target": "envoy-gateway" }),
            "envoy-gateway/envoy-extension-policy.yaml",
        ),
        (
            json!({ "target": "envoy", "image": "/opt/mixerless.wasm" }),
            "envoy/bootstrap.yaml",
        ),
    ] {
        let mut all = json!({ "image": IMAGE, "plugin-config": config });
        let fields = all.as_object_mut().unwrap();
        fields.extend(settings.as_object().unwrap().clone());
        for object in objects(&manifests(all), file) {
            assert_eq!(directions(&object), ["auto"], "{file}");
        }
    }
}

/// The directions in all configurations of the module in an object, also in those that are text.
fn directions(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(directions).collect(),
        Value::Object(fields) => {
            let own = fields.get("direction").and_then(Value::as_str);
            let below = fields.values().flat_map(directions);
            own.map(ToOwned::to_owned)
                .into_iter()
                .chain(below)
                .collect()
        }
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(config @ Value::Object(_)) => directions(&config),
            _ => Vec::new(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The module is not fetched within the timeout: requests pass, and the proxy is ready.
#[tokio::test]
async fn without_a_module_requests_pass_uncounted() {
    let directory = TempDir::new().unwrap();
    let nowhere = directory.path().join("nothing-comes.json");
    let mesh = Mesh::builder()
        .inbound(|sidecar| {
            let (_, mut filter) = patches("inbound");
            let source = &mut filter["config_discovery"]["config_source"];
            *source =
                json!({ "initial_fetch_timeout": "1s", "path_config_source": { "path": nowhere } });
            fs::write(&nowhere, json!({ "resources": [] }).to_string()).unwrap();
            sidecar.roles(Roles::None).http_filter(filter)
        })
        .start()
        .await
        .unwrap();
    assert_eq!(mesh.get("/version").await.unwrap().status, 200);
    let page = mesh.inbound.page().await.unwrap();
    assert!(page.series("istio_requests_total").is_empty());
}

/// A file that is not a module: the agent would refuse it, Envoy does too, and requests pass nevertheless.
#[tokio::test]
async fn with_a_broken_module_requests_pass_uncounted() {
    let directory = TempDir::new().unwrap();
    let broken = directory.path().join("broken.wasm");
    fs::write(&broken, b"\0asm and no more").unwrap();
    let mesh = Mesh::builder()
        .inbound(|sidecar| patched_with(sidecar, "inbound", directory.path(), &broken))
        .start()
        .await
        .unwrap();
    assert_eq!(mesh.get("/version").await.unwrap().status, 200);
}

/// A gateway is a proxy whose listeners have no direction.
#[tokio::test]
async fn a_gateway_with_the_patched_in_filter_reports_as_source() {
    let (extension, filter) = patches("gateway");
    let ecds = TempDir::new().unwrap();
    let filter = served(
        extension,
        filter,
        &ecds.path().join("gateway.json"),
        &install::module().unwrap(),
    );
    let gateway = BareEnvoy::start(|bootstrap| {
        let listener = &mut bootstrap["static_resources"]["listeners"][0];
        listener
            .as_object_mut()
            .unwrap()
            .remove("traffic_direction");
        listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0] = filter;
    })
    .await;
    gateway.get("/version").await;
    let counted = |page: &Page| !page.series("istio_requests_total").is_empty();
    let page = gateway.page_when("the gateway counts", counted).await;
    assert!(page.series("istio_requests_total")[0].has(&[
        ("reporter", "source"),
        ("source_workload", "podinfo"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
    ]));
}

fn patched(sidecar: SidecarBuilder, place: &str, ecds: &Path) -> SidecarBuilder {
    patched_with(sidecar, place, ecds, &install::module().unwrap())
}

fn patched_with(
    sidecar: SidecarBuilder,
    place: &str,
    ecds: &Path,
    module: &Path,
) -> SidecarBuilder {
    let (extension, filter) = patches(place);
    let filter = served(
        extension,
        filter,
        &ecds.join(format!("{place}.json")),
        module,
    );
    sidecar.roles(Roles::None).http_filter(filter)
}

/// The filter after the changes of istiod and the agent.
pub fn served(mut extension: Value, mut filter: Value, ecds: &Path, module: &Path) -> Value {
    assert_eq!(
        filter["name"], extension["name"],
        "the filter asks for what the other patch adds"
    );

    // Like istio-agent, which fetches the module and replaces the address with a file.
    let code = &mut extension["typed_config"]["config"]["vm_config"]["code"];
    assert_eq!(
        *code,
        json!({ "remote": {
            "http_uri": { "cluster": "_", "timeout": "30s", "uri": IMAGE },
            "sha256": SHA256,
        } })
    );
    *code = json!({ "local": { "filename": module } });

    // Like istiod, which serves the extension; here a file does.
    extension["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
    fs::write(ecds, json!({ "resources": [extension] }).to_string()).unwrap();
    let source = filter["config_discovery"]["config_source"]
        .as_object_mut()
        .unwrap();
    assert_eq!(source.remove("ads"), Some(json!({})));
    source.insert("path_config_source".to_owned(), json!({ "path": ecds }));
    filter
}

/// The extension and the filter of the patches for a context: in that context only, and inbound not where tunnels end.
fn patches(place: &str) -> (Value, Value) {
    let bundle = manifests(json!({ "image": IMAGE, "sha256": SHA256 }));
    let envoy_filter = objects(&bundle, &format!("istio/envoyfilter-http-{place}.yaml")).remove(0);
    // Through text and back, as with kubectl.
    let envoy_filter = parse(&envoy_filter.to_string()).remove(0);
    let [module, insertion] = envoy_filter["spec"]["configPatches"]
        .as_array()
        .unwrap()
        .as_slice()
    else {
        panic!("two patches: {envoy_filter}");
    };
    let context = match place {
        "gateway" => json!("GATEWAY"),
        place => json!(format!("SIDECAR_{}", place.to_uppercase())),
    };
    assert_eq!(module["applyTo"], "EXTENSION_CONFIG");
    assert_eq!(module["match"]["context"], context);
    assert_eq!(module["patch"]["operation"], "ADD");
    assert_eq!(insertion["applyTo"], "HTTP_FILTER");
    assert_eq!(insertion["match"]["context"], context);
    let (operation, neighbour) = match place {
        "inbound" => ("INSERT_AFTER", "envoy.filters.http.cors"),
        _ => ("INSERT_BEFORE", "envoy.filters.http.router"),
    };
    assert_eq!(insertion["patch"]["operation"], operation);
    let config =
        module["patch"]["value"]["typed_config"]["config"]["configuration"]["value"].as_str();
    let config: Value = serde_json::from_str(config.unwrap()).unwrap();
    assert_eq!(config["direction"], place);
    // The harness puts a filter at the same position.
    let before = &insertion["match"]["listener"]["filterChain"]["filter"];
    assert_eq!(
        before["name"],
        "envoy.filters.network.http_connection_manager"
    );
    assert_eq!(before["subFilter"]["name"], neighbour);
    (
        module["patch"]["value"].clone(),
        insertion["patch"]["value"].clone(),
    )
}
