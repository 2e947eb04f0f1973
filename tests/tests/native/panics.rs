//! A panic in each hook: it ends nothing but the counting.

use harness::{Client, Sidecar, SidecarBuilder, eventually};
use serde_json::json;

/// All hooks in which the module does something.
const HOOKS: [&str; 15] = [
    "http_filter_config_new",
    "http_filter_new",
    "http_filter_request_headers",
    "http_filter_request_body",
    "http_filter_response_headers",
    "http_filter_response_body",
    "http_filter_stream_complete",
    "http_filter_destroy",
    "http_filter_end",
    "http_filter_config_destroy",
    "cluster_config_new",
    "cluster_lb_new",
    "cluster_lb_destroy",
    "cluster_destroy",
    "cluster_config_destroy",
];

#[test]
fn a_panic_is_tried_in_each_hook_of_the_source() {
    let hooks = ["mod", "cluster"].map(|file| {
        let file = format!("../filter-native/src/hooks/{file}.rs");
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        std::fs::read_to_string(file).unwrap()
    });
    let mut named: Vec<&str> = hooks
        .iter()
        .flat_map(|text| text.split('"').skip(1).step_by(2))
        .filter(|text| text.starts_with("http_filter_") || text.starts_with("cluster_"))
        .collect();
    let mut tried = HOOKS.to_vec();
    named.sort_unstable();
    tried.sort_unstable();
    assert_eq!(named, tried);
}

#[tokio::test]
async fn a_panic_in_a_hook_is_one_line_and_all_traffic_passes() {
    for hook in HOOKS {
        let sidecar = SidecarBuilder::inbound()
            .panics_in(hook)
            .discovered_plugin_config()
            .discovered_metrics_cluster();
        let (app, sidecar) = sidecar.start_with_app().await.unwrap();
        pass_requests(&sidecar, hook).await;
        // What is replaced is torn down.
        sidecar.reconfigure(json!({ "max_series": 1000 })).unwrap();
        let other = json!({ "max_series": 1001 });
        sidecar.replace_metrics_cluster(other).unwrap();
        let panicked = eventually(hook, async || {
            Ok(sidecar.envoy.log()?.contains("a panic at").then_some(()))
        });
        panicked.await.unwrap();
        pass_requests(&sidecar, hook).await;
        drop(app);

        let log = sidecar.envoy.log().unwrap();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("a panic at"))
            .collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let expected = format!("on purpose, in {hook};");
        assert!(lines[0].contains(&expected), "{lines:?}");
        assert!(lines[0].contains("[error]"), "{lines:?}");
    }
}

async fn pass_requests(sidecar: &Sidecar, hook: &str) {
    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    for path in ["/version", "/trickle/100", "/version", "/status/404"] {
        let status = client.get(path).await.unwrap().status;
        let expected = if path.ends_with("404") { 404 } else { 200 };
        assert_eq!(status, expected, "{hook}");
    }
    let mut client = Client::http2(sidecar.traffic).await.unwrap();
    let mut call = client.call("/grpc/echo").await.unwrap();
    call.exchange().await.unwrap();
    call.finish().await.unwrap();
}
