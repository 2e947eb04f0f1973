//! `--method dynamic-module`: what is generated for each platform, in a real Envoy with the library.

use harness::{
    App, Client, Envoy, Page, envoy::ADMIN_SOCKET, envoy::EnvoyOptions, eventually, install,
};
use serde_json::{Value, json};

use crate::support::{IMAGE, manifests, mixerless, objects, parse, run, texts};

fn library() -> String {
    let directory = install::native_module_directory().unwrap();
    directory.join("libmixerless.so").display().to_string()
}

fn generated(target: &str, image: &str) -> envoyfilter_manifests::bundle::Bundle {
    manifests(json!({ "image": image, "target": target, "method": "dynamic-module" }))
}

#[tokio::test]
async fn the_bootstrap_counts_requests_with_all_labels_and_each_piece_is_in_it() {
    let bundle = generated("envoy", &library());
    let bootstrap = objects(&bundle, "envoy/bootstrap.yaml").remove(0);
    let resources = &bootstrap["static_resources"];
    let filter = "/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
    for (file, piece) in [
        ("metrics-cluster", resources.pointer("/clusters/2")),
        ("stats-listener", resources.pointer("/listeners/1")),
        ("http-filter", resources.pointer(filter)),
    ] {
        let objects = objects(&bundle, &format!("envoy/{file}.yaml"));
        assert_eq!(Some(&objects[0]), piece, "{file}");
    }
    let runtime = &objects(&bundle, "envoy/layered-runtime.yaml")[0];
    assert_eq!(runtime["layered_runtime"], bootstrap["layered_runtime"]);
    assert_eq!(bootstrap.get("stats_config"), None);

    assert_counts(bootstrap, "destination").await;
}

/// The patches, and the config map, in the place of a bare Envoy's own pieces.
#[tokio::test]
async fn what_istio_patches_into_its_proxies_counts() {
    let istio = generated("istio", &library());
    for (direction, reporter) in [
        ("inbound", "destination"),
        ("outbound", "source"),
        ("gateway", "source"),
    ] {
        let file = format!("istio/envoyfilter-library-{direction}.yaml");
        let value = "/spec/configPatches/0/patch/value";
        let filter = objects(&istio, &file)[0].pointer(value).cloned().unwrap();
        let cluster = &objects(&istio, "istio/envoyfilter-library-metrics.yaml")[0];
        let override_map = &objects(&istio, "mesh-config/bootstrap-override.yaml")[0];
        let part = override_map["data"]["custom_bootstrap.json"].as_str();
        let part: Value = serde_json::from_str(part.unwrap()).unwrap();

        let bare = generated("envoy", &library());
        let mut bootstrap = objects(&bare, "envoy/bootstrap.yaml").remove(0);
        *http_filter(&mut bootstrap) = filter;
        bootstrap["static_resources"]["clusters"][2] = cluster.pointer(value).cloned().unwrap();
        bootstrap["layered_runtime"] = part["layered_runtime"].clone();
        assert_counts(bootstrap, reporter).await;
    }
}

/// Envoy Gateway hands the policy's configuration over as JSON, and merges the bootstrap into its own.
#[tokio::test]
async fn what_envoy_gateway_merges_into_its_bootstrap_counts() {
    let gateway = generated("envoy-gateway", &library());
    let proxy = &objects(&gateway, "envoy-gateway/envoy-proxy.yaml")[0]["spec"];
    let policy = &objects(&gateway, "envoy-gateway/envoy-extension-policy.yaml")[0]["spec"];
    let module = &policy["dynamicModule"][0];
    let registered = &proxy["dynamicModules"][0];
    assert_eq!(module["name"], registered["name"]);
    let merged = parse(proxy["bootstrap"]["value"].as_str().unwrap()).remove(0);

    let bare = generated("envoy", &library());
    let mut bootstrap = objects(&bare, "envoy/bootstrap.yaml").remove(0);
    let filter = &mut http_filter(&mut bootstrap)["typed_config"];
    filter["filter_config"]["value"] = json!(module["config"].to_string());
    filter["filter_name"] = module["filterName"].clone();
    let path = &registered["source"]["local"]["path"];
    filter["dynamic_module_config"]["module"]["local"]["filename"] = path.clone();
    bootstrap["static_resources"]["clusters"][2] =
        merged["static_resources"]["clusters"][0].clone();
    bootstrap["layered_runtime"] = merged["layered_runtime"].clone();
    assert_counts(bootstrap, "source").await;
}

#[tokio::test]
async fn names_with_envoys_prefix_are_a_fault_with_a_code() {
    let bundle = generated("envoy", &library());
    let mut bootstrap = objects(&bundle, "envoy/bootstrap.yaml").remove(0);
    bootstrap.as_object_mut().unwrap().remove("layered_runtime");
    let proxy = Proxy::start(bootstrap).await;
    proxy
        .page_with("envoy_dynamicmodulescustom_istio_requests_total")
        .await;

    let mut command = mixerless();
    command.args(["check", &proxy.metrics.to_string(), "--output", "json"]);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let findings = found["proxies"][0]["findings"].as_array().unwrap();
    let faults: Vec<&Value> = findings.iter().map(|finding| &finding["fault"]).collect();
    assert_eq!(faults, ["module-prefix"]);
}

#[test]
fn an_image_with_the_library_is_mounted_where_the_filters_look_for_it() {
    const PATH: &str = "/opt/mixerless/libmixerless.so";
    let istio = generated("istio", IMAGE);
    let patch = &objects(&istio, "mesh-config/pod-annotation.yaml")[0];
    let annotations = &patch["spec"]["template"]["metadata"]["annotations"];
    let parsed = |name: &str| -> Value {
        let text = annotations[format!("sidecar.istio.io/{name}")].as_str();
        serde_json::from_str(text.unwrap()).unwrap()
    };
    let reference = IMAGE.trim_start_matches("oci://");
    assert_eq!(
        parsed("userVolume")["mixerless"]["image"]["reference"],
        reference
    );
    assert_eq!(
        parsed("userVolumeMount")["mixerless"]["mountPath"],
        "/opt/mixerless"
    );
    assert_eq!(
        annotations["sidecar.istio.io/bootstrapOverride"],
        "mixerless-bootstrap"
    );

    let gateway = generated("envoy-gateway", IMAGE);
    let proxy = &objects(&gateway, "envoy-gateway/envoy-proxy.yaml")[0]["spec"];
    let deployment = &proxy["provider"]["kubernetes"]["envoyDeployment"];
    assert_eq!(
        deployment["pod"]["volumes"][0]["image"]["reference"],
        reference
    );
    assert_eq!(
        deployment["container"]["volumeMounts"][0]["mountPath"],
        "/opt/mixerless"
    );

    for bundle in [istio, gateway] {
        let files = bundle.files().iter();
        let named: Vec<&str> = files
            .filter(|file| file.text.contains(PATH))
            .map(|file| file.path.as_str())
            .collect();
        assert!(!named.is_empty());
    }
}

async fn assert_counts(bootstrap: Value, reporter: &str) {
    let proxy = Proxy::start(bootstrap).await;
    let page = Page::parse(&proxy.page_with("istio_requests_total{").await).unwrap();
    let requests = page.series("istio_requests_total");
    assert!(
        requests[0].has(&[("reporter", reporter), ("response_code", "200")]),
        "{requests:?}"
    );
    assert_eq!(requests[0].labels.len(), stats_core::labels::LABELS.len());
    let glued = page.families.keys().find(|name| name.contains("___"));
    assert_eq!(glued, None);
}

/// A bootstrap at work, on free ports, before an application that runs; a request has passed.
struct Proxy {
    _app: App,
    _envoy: Envoy,
    metrics: std::net::SocketAddr,
}

impl Proxy {
    async fn start(mut bootstrap: Value) -> Self {
        let app = App::start().await.unwrap();
        let resources = &mut bootstrap["static_resources"];
        for listener in resources["listeners"].as_array_mut().unwrap() {
            listener["address"]["socket_address"] =
                json!({ "address": "127.0.0.1", "port_value": 0 });
        }
        for (cluster, address) in [
            (0, json!({ "pipe": { "path": ADMIN_SOCKET } })),
            (
                1,
                json!({ "socket_address": { "address": "127.0.0.1", "port_value": app.address().port() } }),
            ),
        ] {
            let endpoint = format!(
                "/clusters/{cluster}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address"
            );
            *resources.pointer_mut(&endpoint).unwrap() = address;
        }
        bootstrap["stats_flush_interval"] = json!("0.1s");
        let envoy = Envoy::start(&bootstrap, &EnvoyOptions::default())
            .await
            .unwrap();
        let traffic = envoy.listener("inbound").await.unwrap();
        let mut client = Client::http1(traffic).await.unwrap();
        assert_eq!(client.get("/version").await.unwrap().status, 200);
        Self {
            metrics: envoy.listener("stats").await.unwrap(),
            _app: app,
            _envoy: envoy,
        }
    }

    /// The page, once it has this.
    async fn page_with(&self, what: &str) -> String {
        let page = eventually(what, async || {
            let mut client = Client::http1(self.metrics).await?;
            let page = client.get("/stats/prometheus").await?.text();
            Ok(Some(page).filter(|page| page.contains(what)))
        });
        page.await.unwrap()
    }
}

/// The module's filter in the traffic listener.
fn http_filter(bootstrap: &mut Value) -> &mut Value {
    let filter =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
    bootstrap.pointer_mut(filter).unwrap()
}
