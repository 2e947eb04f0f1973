//! A panic in each hook: it ends nothing but the counting.

use harness::SidecarBuilder;

/// All hooks in which the module does something.
const HOOKS: [&str; 9] = [
    "http_filter_config_new",
    "http_filter_new",
    "http_filter_request_headers",
    "http_filter_response_headers",
    "http_filter_stream_complete",
    "http_filter_destroy",
    "http_filter_response_body",
    "cluster_config_new",
    "cluster_lb_new",
];

#[tokio::test]
async fn a_panic_in_a_hook_is_one_line_and_all_traffic_passes() {
    for hook in HOOKS {
        let sidecar = SidecarBuilder::inbound().panics_in(hook);
        let (app, sidecar) = sidecar.start_with_app().await.unwrap();
        let mut client = harness::Client::http1(sidecar.traffic).await.unwrap();
        for path in ["/version", "/trickle/100", "/version", "/status/404"] {
            let status = client.get(path).await.unwrap().status;
            assert_eq!(
                status,
                if path.ends_with("404") { 404 } else { 200 },
                "{hook}"
            );
        }
        drop(app);

        let log = sidecar.envoy.log().unwrap();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("a panic at"))
            .collect();
        assert!(!lines.is_empty(), "{hook} has not panicked");
        assert!(
            lines[0].contains(&format!("on purpose, in {hook};")),
            "{lines:?}"
        );
        let once_per_thread = hook.starts_with("cluster_");
        assert!(
            lines.len() == 1 || once_per_thread && lines.len() <= 2,
            "{lines:?}"
        );
        assert!(
            lines.iter().all(|line| line.contains("[error]")),
            "{lines:?}"
        );
    }
}
