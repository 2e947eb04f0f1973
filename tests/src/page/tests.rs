use super::Page;

#[test]
fn a_page_is_read_into_families_and_samples() {
    let page = Page::parse(concat!(
        "# HELP requests_total Requests, all of them.\n",
        "# TYPE requests_total counter\n",
        "requests_total{code=\"200\",host=\"a\\\\b\\\"c\\nd,}e\"} 10\n",
        "requests_total{code=\"503\",host=\"\"} 2\n",
        "\n",
        "# TYPE wait_seconds histogram\n",
        "wait_seconds_bucket{le=\"+Inf\"} 3\n",
        "wait_seconds_sum{} 1.5\n",
        "wait_seconds_count 3\n",
        "loose 1e3 1700000000000\n",
    ))
    .unwrap();

    let requests = &page.families["requests_total"];
    assert_eq!(requests.kind, "counter");
    assert_eq!(requests.help.as_deref(), Some("Requests, all of them."));
    assert_eq!(requests.samples[0].label("host"), Some("a\\b\"c\nd,}e"));
    assert_eq!(page.sum("requests_total", &[]).to_string(), "12");
    assert_eq!(
        page.sum("requests_total", &[("code", "503"), ("host", "")])
            .to_string(),
        "2"
    );
    assert_eq!(page.families["wait_seconds"].samples.len(), 3);
    assert_eq!(page.families["loose"].kind, "untyped");
}

#[test]
fn what_a_scraper_would_refuse_is_refused_with_its_line() {
    for (text, reason) in [
        ("a;b 1", "a;b is no metric name"),
        ("a.b{} 1", "a.b is no metric name"),
        ("a", "no value"),
        ("a{b=\"c\"}", "no value"),
        ("a one", "one is no number"),
        ("a 1 2 3", "more than a value"),
        ("a{b:c=\"d\"} 1", "b:c is no label name"),
        ("a{b=\"c} 1", "without its closing quote"),
        ("a{b=\"\\t\"} 1", "the escape"),
        ("a{b=\"c\"d=\"e\"} 1", "neither , nor }"),
        ("a{b=\"c\",b=\"d\"} 1", "b stands twice"),
        ("a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 1", "already has"),
        (
            "# TYPE a counter\na 1\n# TYPE b counter\nb 1\n# TYPE a counter",
            "appears twice",
        ),
        (
            "# TYPE a counter\na 1\n# TYPE b counter\na{x=\"y\"} 1",
            "outside its family",
        ),
        ("# TYPE a metre", "metre is no type"),
    ] {
        let error = format!("{:#}", Page::parse(text).unwrap_err());
        assert!(error.contains(reason), "{text:?} gave: {error}");
        assert!(
            error.starts_with(&format!("line {}", text.lines().count())),
            "{text:?} gave: {error}"
        );
    }
}
