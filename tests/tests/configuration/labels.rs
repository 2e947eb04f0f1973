//! `metrics[].dimensions` and `metrics[].tags_to_remove`.

use harness::Mesh;
use harness::client::request;
use harness::sidecar::REQUEST_COUNTS;
use hyper::Method;
use serde_json::json;
use stats_core::labels::LABELS;

use crate::expected::{assert_counted, inbound};
use crate::fixture::{self, REQUESTS, client, get, label_order, module_log, only, page_after, sum};

#[tokio::test]
async fn an_expression_overrides_a_standard_label_in_its_place() {
    let config = json!({ "metrics": [{ "dimensions": {
        "destination_version": "request.method",
        "response_code": "'code-' + string(response.code)",
    } }] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let overridden = inbound(&[
        ("destination_version", "GET"),
        ("response_code", "code-200"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(overridden, 1)]);
    assert_eq!(label_order(&sidecar, REQUESTS).await, [LABELS]);
}

#[tokio::test]
async fn an_expression_adds_a_label_after_the_standard_ones_sorted_by_name() {
    let added = ["zone", "method", "path"];
    let config = json!({ "metrics": [
        { "dimensions": { "zone": "'z'", "method": "request.method" } },
        { "dimensions": { "path": "request.path" } },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &added).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    for name in REQUEST_COUNTS {
        let added = [("zone", "z"), ("method", "GET"), ("path", "/version")];
        assert_eq!(sum(&page, name, &added), "1", "{name}");
        assert_eq!(only(&page, name).labels.len(), LABELS.len() + 3, "{name}");
    }
    let mut names = LABELS.to_vec();
    names.extend(["method", "path", "zone"]);
    assert_eq!(label_order(&sidecar, REQUESTS).await, [names]);
}

#[tokio::test]
async fn an_entry_with_a_name_changes_only_that_metric() {
    let config = json!({ "metrics": [{
        "name": "request_bytes",
        "dimensions": { "method": "request.method", "source_app": "'overridden'" },
        "tags_to_remove": ["response_flags"],
    }] });
    let (_app, sidecar) = fixture::inbound(config, &["method"]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    for name in REQUEST_COUNTS {
        let series = only(&page, name);
        let (app, method, flags) = match name {
            "istio_request_bytes_count" => (Some("overridden"), Some("GET"), None),
            _ => (Some("unknown"), None, Some("-")),
        };
        assert_eq!(series.label("source_app"), app, "{name}");
        assert_eq!(series.label("method"), method, "{name}");
        assert_eq!(series.label("response_flags"), flags, "{name}");
    }
}

#[tokio::test]
async fn a_removed_label_is_gone_from_every_metric_and_its_series_are_one() {
    let config =
        json!({ "metrics": [{ "tags_to_remove": ["response_code", "source_principal"] }] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for path in ["/version", "/status/404", "/status/503"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(3).await.unwrap();
    let mut names = LABELS.to_vec();
    names.retain(|name| !["response_code", "source_principal"].contains(name));
    names.sort_unstable();
    for name in REQUEST_COUNTS {
        let series = only(&page, name);
        assert_eq!(series.label_names(), names, "{name}");
        assert_eq!(series.value.to_string(), "3", "{name}");
    }
}

#[tokio::test]
async fn an_expression_that_does_not_parse_removes_its_label_with_a_line_in_the_log() {
    let config = json!({ "metrics": [{ "dimensions": {
        "added": "request.method +",
        "response_flags": "(((",
        "kept": "request.method",
    } }] });
    let (_app, sidecar) = fixture::inbound(config, &["added", "kept"]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    let series = only(&page, REQUESTS);
    assert_eq!(series.label("kept"), Some("GET"));
    assert_eq!(series.label("added"), None);
    assert_eq!(series.label("response_flags"), None);
    let log = module_log(&sidecar);
    for expression in ["request.method +", "((("] {
        let about = log.iter().filter(|line| line.contains(expression));
        assert_eq!(about.count(), 1, "{expression} in {log:?}");
    }
}

/// None of them is an expression, but text around them could make an expression of it.
#[tokio::test]
async fn halves_of_an_expression_do_not_parse_either() {
    let config = json!({ "metrics": [{ "dimensions": {
        "one": "1), (2",
        "two": "1] + [2",
        "three": "",
        "four": "1 // a comment",
    } }] });
    let (_app, sidecar) = fixture::inbound(config, &["one", "two", "three", "four"]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    let series = only(&page, REQUESTS);
    for label in ["one", "two", "three"] {
        assert_eq!(series.label(label), None, "{label}");
    }
    assert_eq!(series.label("four"), Some("1"));
}

#[tokio::test]
async fn an_expression_that_fails_is_unknown_and_only_then() {
    let config = json!({ "metrics": [{ "dimensions": {
        "canary": "request.headers['x-canary']",
        "source_app": "request.headers['x-app']",
    } }] });
    let (_app, sidecar) = fixture::inbound(config, &["canary"]).await;
    let mut client = client(&sidecar).await;

    client.get("/version").await.unwrap();
    let mut with_headers = request(Method::GET, "/version").unwrap();
    let headers = with_headers.headers_mut();
    headers.insert("x-canary", "yes".parse().unwrap());
    headers.insert("x-app", "cart".parse().unwrap());
    client.send(with_headers).await.unwrap();
    client.get("/version").await.unwrap();

    let page = sidecar.page_after(3).await.unwrap();
    let failed = [("canary", "unknown"), ("source_app", "unknown")];
    assert_eq!(sum(&page, REQUESTS, &failed), "2");
    let there = [("canary", "yes"), ("source_app", "cart")];
    assert_eq!(sum(&page, REQUESTS, &there), "1");
    assert_eq!(page.series(REQUESTS).len(), 2);
}

#[tokio::test]
async fn a_value_of_any_type_prints_as_text() {
    let values = [
        ("positive", "response.code", "200"),
        ("negative", "-7", "-7"),
        ("unsigned", "7u", "7"),
        ("is_mtls", "connection.mtls", "true"),
        ("is_get", "request.method != 'GET'", "false"),
        ("half", "1.5", "1.5"),
        ("span", "duration('90s')", "1m30s"),
        (
            "moment",
            "timestamp('2026-01-31T23:59:59Z')",
            "2026-01-31T23:59:59+00:00",
        ),
        ("joined", "'a' + 'b'", "ab"),
        ("eight", "'12345678'", "12345678"),
        ("nothing", "''", ""),
        ("raw", "b'raw'", "raw"),
    ];
    let dimensions: serde_json::Map<_, _> = values
        .map(|(label, expression, _)| (label.to_owned(), expression.into()))
        .into_iter()
        .collect();
    let mesh = Mesh::builder().inbound(|sidecar| {
        sidecar
            .plugin_config(json!({ "metrics": [{ "dimensions": dimensions }] }))
            .labels(&values.map(|(label, ..)| label))
    });
    let mesh = mesh.start().await.unwrap();

    mesh.get("/version").await.unwrap();

    let page = mesh.inbound.page_after(1).await.unwrap();
    let series = only(&page, REQUESTS);
    for (label, expression, text) in values {
        assert_eq!(series.label(label), Some(text), "{expression}");
    }
}

#[tokio::test]
async fn a_value_forges_no_labels() {
    let config = json!({ "metrics": [{ "dimensions": { "path": "request.path" } }] });
    let (_app, sidecar) = fixture::inbound(config, &["path"]).await;

    get(&sidecar, "/a;.;reporter=.=source;.;istio_requests_total").await;

    let page = sidecar.page_after(1).await.unwrap();
    let series = only(&page, REQUESTS);
    assert_eq!(series.label("reporter"), Some("destination"));
    let path = "/a_.;reporter_.=source_.;istio_requests_total";
    assert_eq!(series.label("path"), Some(path));
    assert_eq!(series.labels.len(), LABELS.len() + 1);
}

#[tokio::test]
async fn a_later_entry_wins() {
    let config = json!({ "metrics": [
        { "name": "requests_total", "dimensions": {
            "one": "'first'", "two": "'first'", "three": "'first'", "source_app": "'first'",
        } },
        { "dimensions": { "one": "'second'", "source_app": "'second'", "five": "'second'" } },
        { "name": "requests_total", "tags_to_remove": ["three", "four", "reporter"] },
        { "dimensions": { "four": "'fourth'", "five": "(((" } },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &["one", "two", "three", "four", "five"]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    let requests = only(&page, REQUESTS);
    for (label, value) in [
        ("one", Some("second")),
        ("two", Some("first")),
        ("three", None),
        ("four", Some("fourth")),
        ("five", None),
        ("source_app", Some("second")),
        ("reporter", None),
    ] {
        assert_eq!(requests.label(label), value, "{label}");
    }
    let bytes = only(&page, "istio_request_bytes_count");
    for (label, value) in [
        ("one", Some("second")),
        ("two", None),
        ("source_app", Some("second")),
        ("reporter", Some("destination")),
    ] {
        assert_eq!(bytes.label(label), value, "{label}");
    }
}

#[tokio::test]
async fn the_roles_of_two_filters_take_the_same_labels() {
    let config = json!({ "metrics": [{ "dimensions": { "method": "request.method" } }] });
    let sidecar = harness::SidecarBuilder::inbound().roles(harness::Roles::Split);
    let (_app, sidecar) = fixture::start(sidecar, config, &["method"]).await;

    get(&sidecar, "/version").await;

    let page = page_after(&sidecar, 1).await;
    assert_eq!(only(&page, REQUESTS).label("method"), Some("GET"));
}
