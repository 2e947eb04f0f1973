//! Configurations that nobody means: none ends the VM, the log says in a few lines what is wrong, requests pass.

use std::fmt::Write;

use harness::{SidecarBuilder, eventually};

use crate::fixture::{get, module_lines};

/// The most lines of the module's about one configuration, from each of the proxy's threads: eight warnings and a count,
/// and as many of expressions.
const MAX_LINES: usize = 18;
/// The main thread's, and that of one worker.
const THREADS: usize = 2;

#[tokio::test]
async fn sixty_absurd_configurations_end_nothing_and_the_log_says_what_is_wrong() {
    let (_app, sidecar) = SidecarBuilder::inbound()
        .discovered_plugin_config()
        .start_with_app()
        .await
        .unwrap();
    get(&sidecar, "/version").await;

    let configurations = configurations();
    assert_eq!(configurations.len(), 60);
    for (at, (config, said)) in configurations.iter().enumerate() {
        let shown: String = config.chars().take(80).collect();
        let before = module_lines(&sidecar).len();
        sidecar.reconfigure(config).unwrap();
        // Where a side is made by its first request, expressions are compiled with it.
        let what = format!("{said:?} in the log of {shown}");
        let lines = eventually(&what, async || {
            assert_eq!(get(&sidecar, "/version").await.status, 200, "{shown}");
            let lines = module_lines(&sidecar).split_off(before);
            let is_said = lines.iter().any(|line| line.contains(said));
            Ok(is_said.then_some(lines))
        });
        let lines = lines.await.unwrap_or_else(|error| {
            panic!(
                "{at}: {error}: {:?}",
                module_lines(&sidecar).split_off(before)
            )
        });
        assert!(lines.len() <= MAX_LINES * THREADS, "{shown}: {lines:#?}");
        for line in &lines {
            assert!(line.len() < 1_000, "{shown}: {line}");
        }
    }

    let log = sidecar.envoy.log().unwrap();
    assert!(!log.contains("Function: "), "a trap has such a line: {log}");
    let failed = sidecar.envoy.admin_get("/stats?filter=wasm.*crash").await;
    let failed = failed.unwrap().text();
    assert!(failed.lines().all(|line| line.ends_with(": 0")), "{failed}");
}

/// Configurations, and what a line in the log says of each.
fn configurations() -> Vec<(String, &'static str)> {
    let texts = |configurations: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        let owned = configurations.iter();
        owned
            .map(|(config, said)| ((*config).to_owned(), *said))
            .collect()
    };
    let mut all = texts(&NO_CONFIGURATIONS);
    all.extend(texts(&WRONG_VALUES));
    all.extend(texts(&WARNED_OF));
    all.extend(large());
    all
}

/// What is no configuration at all.
const NO_CONFIGURATIONS: [(&str, &str); 12] = [
    ("{", "$: not JSON"),
    ("nul", "$: not JSON"),
    ("null", "$: found null"),
    ("true", "$: found true"),
    ("0", "$: found 0"),
    ("-1", "$: found -1"),
    ("1e400", "$: not JSON"),
    ("\"\"", "$: found \"\""),
    ("[[[[]]]]", "$: found a list"),
    ("{\"max_series\": 1,}", "$: not JSON"),
    ("{\"max_series\": 1}{}", "$: not JSON"),
    ("<xml/>", "$: not JSON"),
];

/// Values that no field takes.
const WRONG_VALUES: [(&str, &str); 23] = [
    (
        r#"{"max_series": -9223372036854775808}"#,
        "$.max_series: found -9223372036854775808",
    ),
    (
        r#"{"max_series": 18446744073709551616}"#,
        "$.max_series: found a number with a fraction",
    ),
    (
        r#"{"max_series": 18446744073709551615}"#,
        "$.max_series: found 18446744073709551615",
    ),
    (
        r#"{"max_series": 1.5}"#,
        "$.max_series: found a number with a fraction",
    ),
    (r#"{"max_series": "many"}"#, "$.max_series: found \"many\""),
    (r#"{"max_series": [1]}"#, "$.max_series: found a list"),
    (
        r#"{"max_peer_cache_size": -1}"#,
        "$.max_peer_cache_size: found -1",
    ),
    (
        r#"{"max_peer_cache_size": {}}"#,
        "$.max_peer_cache_size: found an object",
    ),
    (
        r#"{"tcp_reporting_duration": "99999999999s"}"#,
        "$.tcp_reporting_duration: found",
    ),
    (
        r#"{"tcp_reporting_duration": "-1s"}"#,
        "$.tcp_reporting_duration: found",
    ),
    (
        r#"{"tcp_reporting_duration": "0.00000000001s"}"#,
        "$.tcp_reporting_duration: found",
    ),
    (
        r#"{"tcp_reporting_duration": "s"}"#,
        "$.tcp_reporting_duration: found \"s\"",
    ),
    (r#"{"stat_prefix": ""}"#, "$.stat_prefix: found \"\""),
    (r#"{"stat_prefix": "a;.;b"}"#, "$.stat_prefix: found"),
    (r#"{"stat_prefix": "\u0000"}"#, "$.stat_prefix: found"),
    (r#"{"reporter": 7}"#, "$.reporter: found 7"),
    (
        r#"{"direction": null, "reporter": []}"#,
        "$.reporter: found a list",
    ),
    (r#"{"metrics": [[]]}"#, "$.metrics[0]: found a list"),
    (
        r#"{"metrics": [{"dimensions": {"a=.=b": "x"}}]}"#,
        "wants letters",
    ),
    (
        r#"{"metrics": [{"dimensions": {"": "x"}}]}"#,
        "wants letters",
    ),
    (r#"{"definitions": [{}]}"#, "the field name is missing"),
    (
        r#"{"request_operations": ["/**/**"]}"#,
        "** only as the last segment",
    ),
    (
        r#"{"extra_metrics": ["everything"]}"#,
        "$.extra_metrics[0]: found \"everything\"",
    ),
];

/// Configurations that are used, as far as they can be.
const WARNED_OF: [(&str, &str); 12] = [
    (
        r#"{"max_series": 0}"#,
        "$.max_series: with 0 every request is counted as overflow",
    ),
    (
        r#"{"max_series": 1000000000}"#,
        "$.max_series: 1000000000 is more than",
    ),
    (
        r#"{"max_series": "4294967295"}"#,
        "$.max_series: 4294967295 is more than",
    ),
    (
        r#"{"max_peer_cache_size": 1000000}"#,
        "$.max_peer_cache_size: 1000000 is more than",
    ),
    (r#"{"a\u0000b\n": 1}"#, "no such field, ignored"),
    (r#"{"allowed_labels": []}"#, "$.allowed_labels: removes"),
    (
        r#"{"metrics": [{"name": "nothing", "drop": true}]}"#,
        "no metric is called \"nothing\"",
    ),
    (
        r#"{"metrics": [{"dimensions": {"status": "1"}}]}"#,
        "ends like",
    ),
    (
        r#"{"metrics": [{"dimensions": {"a": "(("}}]}"#,
        "does not parse",
    ),
    (
        r#"{"metrics": [{"match": "'", "drop": true}]}"#,
        "does not parse",
    ),
    (
        r#"{"definitions": [{"name": "requests_total", "value": "1"}]}"#,
        "is a standard metric",
    ),
    (
        r#"{"definitions": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}"#,
        "is defined twice",
    ),
];

/// Configurations of thousands.
fn large() -> [(String, &'static str); 13] {
    let list = |count: usize, entry: &dyn Fn(usize) -> String| {
        let mut list = String::new();
        for at in 0..count {
            let comma = if at > 0 { "," } else { "" };
            write!(list, "{comma}{}", entry(at)).unwrap();
        }
        list
    };
    let conditions = list(65, &|at| format!(r#"{{"match": "{at} == 0"}}"#));
    let dimensions = |count, value: &str| {
        let entries = list(count, &|at| format!(r#""l{at}": "{value}""#));
        format!(r#"{{"metrics": [{{"dimensions": {{{entries}}}}}]}}"#)
    };
    let lists = |field: &str, count, entry: &dyn Fn(usize) -> String| {
        format!(r#"{{"{field}": [{}]}}"#, list(count, entry))
    };
    let long = "x".repeat(500_000);
    [
        (
            format!("{{{}}}", list(20_000, &|at| format!(r#""field{at}": 1"#))),
            "19992 more warnings",
        ),
        (
            format!(r#"{{"metrics": [{conditions}]}}"#),
            "more than 64 entries with a match",
        ),
        (dimensions(2_000, "1"), "the last 1000 are ignored"),
        (dimensions(500, "(("), "492 more expressions do not parse"),
        (
            lists("definitions", 3_000, &|at| {
                format!(r#"{{"name": "m{at}", "value": "(("}}"#)
            }),
            "992 more expressions",
        ),
        (
            lists("metrics", 3_000, &|_| "{}".to_owned()),
            "$.metrics: more than 1000 entries",
        ),
        (
            lists("request_operations", 3_000, &|at| format!(r#""/{at}""#)),
            "at most 1,000 templates",
        ),
        (
            lists("additional_labels", 3_000, &|at| format!(r#""l{at}""#)),
            "$.additional_labels: more than 1000 entries",
        ),
        (
            lists("peer_sources", 3_000, &|_| r#""headers""#.to_owned()),
            "$.peer_sources: more than 1000 entries",
        ),
        (format!(r#"{{"stat_prefix": "{long}"}}"#), "at most 200"),
        (format!(r#"{{"{long}": 1}}"#), "$.xxxxxxxx"),
        (
            format!(r#"{{"a": "{long}{long}{long}"}}"#),
            "bytes, at most 1048576",
        ),
        ("[".repeat(100_000), "$: not JSON"),
    ]
}
