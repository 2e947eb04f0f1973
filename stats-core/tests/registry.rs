//! The metrics library as its users see it: whole pages, limits, removal, and a model of it all.

mod everything;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use stats_core::registry::{
    Buckets, Counter, Dynamic, Exemplar, Family, Format, Gauge, Histogram, Registry, RegistryError,
};
use stats_core::{label_set, label_value};

label_value! {
    #[derive(Clone, Copy, Debug)]
    enum Method {
        Get = "GET",
        Post = "POST",
    }
}

label_set! {
    #[derive(Clone, Copy, Debug)]
    struct Route<'a> {
        method: Method,
        path: &'a str,
        code as "response_code": Option<u16>,
    }
}

label_set! {
    struct Owned {
        name: String,
        ready: bool,
    }
}

label_set! {
    #[derive(Clone, Copy)]
    struct Client<'a> {
        client: &'a str,
    }
}

const ROUTE: Route = Route {
    method: Method::Get,
    path: "/",
    code: Some(200),
};

#[test]
fn labels_are_typed_and_borrowed() {
    let registry = Registry::new();
    let requests = Family::<Route, Counter>::builder("requests_total", "Requests.")
        .register(&registry)
        .unwrap();
    let path = String::from("/a\"b\\c\nd");
    for _ in 0..2 {
        let labels = Route {
            path: &path,
            method: Method::Post,
            code: None,
        };
        requests.get_or_create(&labels).inc();
        requests.with(&ROUTE, |counter| counter.inc_by(2));
    }
    let ready = Family::<Owned, Gauge>::builder("ready", "Readiness.")
        .register(&registry)
        .unwrap();
    let labels = Owned {
        name: String::from("db"),
        ready: true,
    };
    ready.get_or_create(&labels).set(-3);
    assert_eq!(
        registry.exposition(),
        r#"# HELP ready Readiness.
# TYPE ready gauge
ready{name="db",ready="true"} -3
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{method="GET",path="/",response_code="200"} 4
requests_total{method="POST",path="/a\"b\\c\nd",response_code=""} 2
"#
    );
}

#[test]
fn values_that_look_like_the_text_around_them_are_told_apart() {
    label_set! {
        struct Two<'a> { a: &'a str, b: &'a str }
    }
    let family = Family::<Two, Counter>::builder("c", "")
        .register(&Registry::new())
        .unwrap();
    let values = [
        "",
        "\"",
        "\",b=\"",
        "\\",
        "\\\\",
        "\\\"",
        "\n",
        "\\n",
        "x",
        "x\",b=\"x",
    ];
    let pairs = values.iter().flat_map(|a| values.map(|b| (*a, b)));
    for (a, b) in pairs.clone() {
        family.get_or_create(&Two { a, b }).inc();
    }
    assert_eq!(family.len(), values.len() * values.len());
    for (a, b) in pairs {
        assert_eq!(family.get(&Two { a, b }).unwrap().get(), 1, "{a:?} {b:?}");
    }
}

#[test]
fn dynamic_labels_are_the_same_in_any_order_and_are_checked() {
    let family = Family::<Dynamic, Counter>::builder("c", "")
        .register(&Registry::new())
        .unwrap();
    family
        .get_or_create(&[("b", "\""), ("a", "1")])
        .unwrap()
        .inc();
    family
        .with(&[("a", "1"), ("b", "\"")], Counter::inc)
        .unwrap();
    assert_eq!(family.get(&[("b", "\""), ("a", "1")]).unwrap().get(), 2);
    assert_eq!(family.len(), 1);
    let invalid = family.get_or_create(&[("a b", "")]).err();
    assert_eq!(invalid, Some(RegistryError::LabelName("a b".to_owned())));
    let twice = family.get_or_create(&[("a", ""), ("a", "")]).err();
    assert_eq!(twice, Some(RegistryError::DuplicateLabel("a".to_owned())));
}

#[test]
fn beyond_the_limit_all_goes_into_the_overflow_series() {
    let registry = Registry::new();
    let family = Family::<Client, Counter>::builder("c", "")
        .limit(2, &Client { client: "overflow" })
        .register(&registry)
        .unwrap();
    for round in 0..3 {
        for client in ["one", "two", "three", "four"] {
            family.get_or_create(&Client { client }).inc_by(round);
        }
    }
    assert_eq!(
        registry.exposition(),
        "# TYPE c counter\nc{client=\"one\"} 3\nc{client=\"overflow\"} 6\nc{client=\"two\"} 3\n"
    );
    // Who asks for it by name gets it, and what is removed makes room.
    family.get_or_create(&Client { client: "overflow" }).inc();
    assert!(family.remove(&Client { client: "one" }));
    assert!(!family.remove(&Client { client: "one" }));
    family.get_or_create(&Client { client: "five" }).inc();
    assert_eq!(
        registry.exposition(),
        "# TYPE c counter\nc{client=\"five\"} 1\nc{client=\"overflow\"} 7\nc{client=\"two\"} 3\n"
    );
}

#[test]
fn idle_series_are_removed_when_asked_for() {
    let family = Family::<Client, Histogram>::builder("h", "")
        .buckets([1.0])
        .register(&Registry::new())
        .unwrap();
    let client = |client| Client { client };
    let held = family.get_or_create(&client("held"));
    family.with(&client("idle"), |histogram| histogram.observe(1.0));
    family.with(&client("busy"), |histogram| histogram.observe(1.0));
    let removed = || {
        let mut removed = Vec::new();
        family.retain(|series| {
            let keep = series.changed() || series.is_held();
            if !keep {
                removed.extend(series.labels().map(|(_, value)| value));
            }
            keep
        });
        removed
    };
    assert_eq!(removed(), [""; 0], "what is new is not idle");
    family.with(&client("busy"), |histogram| histogram.observe(1.0));
    assert_eq!(removed(), ["idle"]);
    held.observe(0.5);
    drop(held);
    assert_eq!(removed(), ["busy"]);
    family.clear();
    assert!(family.is_empty());
    assert!(family.get(&client("held")).is_none());
}

#[test]
fn a_sub_registry_adds_a_prefix_and_labels() {
    let root = Registry::new();
    let app = root.sub_registry("app", &[("env", "prod")]).unwrap();
    let one = app.sub_registry("", &[("shard", "1")]).unwrap();
    let two = app.sub_registry("", &[("shard", "2")]).unwrap();
    for (registry, value) in [(&two, 2), (&one, 1)] {
        registry
            .gauge("size", "Size.", &[("of", "x")])
            .unwrap()
            .set(value);
    }
    assert_eq!(
        root.exposition(),
        "# HELP app_size Size.\n# TYPE app_size gauge\n\
         app_size{env=\"prod\",shard=\"2\",of=\"x\"} 2\n\
         app_size{env=\"prod\",shard=\"1\",of=\"x\"} 1\n"
    );
    assert_eq!(
        one.gauge("size", "Size.", &[("env", "")]).err(),
        Some(RegistryError::DuplicateLabel("env".to_owned()))
    );
    assert_eq!(
        app.sub_registry("", &[("env", "")]).err(),
        Some(RegistryError::DuplicateLabel("env".to_owned()))
    );
    // The names of all parts are one page's: in OpenMetrics, this counter's family has the gauge's name.
    let clash = app
        .counter("size_total", "", &[])
        .err()
        .unwrap()
        .to_string();
    for name in ["\"app_size_total\"", "\"app_size\""] {
        assert!(clash.contains(name), "{clash}");
    }
}

#[test]
fn families_are_registered_once_and_units_are_checked() {
    let registry = Registry::new();
    let register = |name, unit| {
        let builder = Family::<(), Counter>::builder(name, "").unit(unit);
        builder.register(&registry).err()
    };
    assert_eq!(register("x_seconds_total", "seconds"), None);
    assert_eq!(
        register("x_seconds_total", "seconds"),
        Some(RegistryError::Duplicate("x_seconds_total".to_owned()))
    );
    for (name, unit) in [("y_total", "seconds"), ("seconds", "seconds"), ("y_", "")] {
        let error = RegistryError::Unit {
            name: name.to_owned(),
            unit: unit.to_owned(),
        };
        assert_eq!(register(name, unit), Some(error));
    }
    assert_eq!(
        register("x_seconds_total", "bytes").map(|error| error.to_string()),
        Some(
            "\"x_seconds_total\" must end in its unit \"bytes\", after a _ and before any _total"
                .to_owned()
        )
    );
}

#[test]
fn open_metrics_has_units_creation_times_exemplars_and_an_end() {
    let registry = Registry::new().with_created(everything::Noon);
    everything::fill(&registry).unwrap();
    assert_eq!(
        registry.page(Format::OpenMetrics),
        r#"# HELP build The build.
# TYPE build info
build_info{version="1.2.3"} 1
# HELP change Ups and downs.
# TYPE change histogram
change_bucket{le="-1.0"} 1
change_bucket{le="1.0"} 1
change_bucket{le="+Inf"} 1
change_created 1700000000.250
# HELP cpu_seconds CPU \"time\".
# TYPE cpu_seconds counter
# UNIT cpu_seconds seconds
cpu_seconds_total{client="a"} 1.5 # {trace_id="abc"} 0.5 1.500
cpu_seconds_created{client="a"} 1700000000.250
# HELP queue_length Waiting.
# TYPE queue_length gauge
queue_length{client="a"} 0.25
queue_length{client="b"} +Inf
# HELP request_seconds Requests.
# TYPE request_seconds histogram
request_seconds_bucket{le="0.5"} 0
request_seconds_bucket{le="1.0"} 1 # {trace_id="abc"} 0.75
request_seconds_bucket{le="+Inf"} 1
request_seconds_sum 0.75
request_seconds_count 1
request_seconds_created 1700000000.250
# EOF
"#
    );
}

#[test]
fn the_older_format_has_what_it_can() {
    let registry = Registry::new().with_created(everything::Noon);
    everything::fill(&registry).unwrap();
    assert_eq!(
        registry.page(Format::Text),
        r#"# HELP build_info The build.
# TYPE build_info gauge
build_info{version="1.2.3"} 1
# HELP change Ups and downs.
# TYPE change histogram
change_bucket{le="-1"} 1
change_bucket{le="1"} 1
change_bucket{le="+Inf"} 1
change_sum -2
change_count 1
# HELP cpu_seconds_total CPU "time".
# TYPE cpu_seconds_total counter
cpu_seconds_total{client="a"} 1.5
# HELP queue_length Waiting.
# TYPE queue_length gauge
queue_length{client="a"} 0.25
queue_length{client="b"} +Inf
# HELP request_seconds Requests.
# TYPE request_seconds histogram
request_seconds_bucket{le="0.5"} 0
request_seconds_bucket{le="1"} 1
request_seconds_bucket{le="+Inf"} 1
request_seconds_sum 0.75
request_seconds_count 1
"#
    );
}

#[test]
fn names_of_any_characters_are_quoted_or_escaped() {
    let registry = Registry::new();
    assert!(registry.gauge("my.gauge", "", &[]).is_err());
    let registry = registry.with_utf8_names();
    let labels = [("label.one", "1"), ("plain", "2")];
    registry.gauge("my.gauge", "Höhe.", &labels).unwrap().set(1);
    registry.counter("plain_total", "", &labels).unwrap().inc();
    registry.histogram("h\"", "", &[], &[1.0]).unwrap();
    assert_eq!(
        registry.page(Format::TextUtf8),
        r#"# TYPE "h\"" histogram
{"h\"_bucket",le="1"} 0
{"h\"_bucket",le="+Inf"} 0
{"h\"_sum"} 0
{"h\"_count"} 0
# HELP "my.gauge" Höhe.
# TYPE "my.gauge" gauge
{"my.gauge","label.one"="1",plain="2"} 1
# TYPE plain_total counter
plain_total{"label.one"="1",plain="2"} 1
"#
    );
    assert_eq!(
        registry.page(Format::Text),
        r#"# TYPE U__h_22_ histogram
U__h_22__bucket{le="1"} 0
U__h_22__bucket{le="+Inf"} 0
U__h_22__sum 0
U__h_22__count 0
# HELP U__my_2e_gauge Höhe.
# TYPE U__my_2e_gauge gauge
U__my_2e_gauge{U__label_2e_one="1",plain="2"} 1
# TYPE plain_total counter
plain_total{U__label_2e_one="1",plain="2"} 1
"#
    );
}

#[test]
fn an_exemplar_is_short() {
    let long = "x".repeat(129);
    let error = Exemplar::new(&[("trace_id", &long)]).err().unwrap();
    assert!(matches!(error, RegistryError::Exemplar(_)), "{error}");
}

/// What can be done to a family.
#[derive(Clone, Debug)]
enum Step {
    Count(u8, u64),
    Remove(u8),
    Retain(u8),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u8..12, 0_u64..100).prop_map(|(client, by)| Step::Count(client, by)),
        2 => (0_u8..12).prop_map(Step::Remove),
        1 => (1_u8..5).prop_map(Step::Retain),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 0..60)
}

/// The same by maps and loops, as simple as can be.
#[derive(Default)]
struct Model {
    series: BTreeMap<String, u64>,
    overflow: Option<u64>,
    limit: usize,
}

impl Model {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Count(client, by) => {
                let room = self.series.len() < self.limit;
                match self.series.get_mut(&client.to_string()) {
                    Some(count) => *count += by,
                    None if room => {
                        self.series.insert(client.to_string(), *by);
                    }
                    None => *self.overflow.get_or_insert(0) += by,
                }
            }
            Step::Remove(client) => {
                self.series.remove(&client.to_string());
            }
            Step::Retain(of) => {
                self.series.retain(|_, count| *count % u64::from(*of) == 0);
                self.overflow = self.overflow.filter(|count| *count % u64::from(*of) == 0);
            }
            Step::Clear => {
                self.series.clear();
                self.overflow = None;
            }
        }
    }

    fn page(&self) -> String {
        let overflow = self.overflow.map(|count| ("overflow".to_owned(), count));
        let series = self.series.clone().into_iter().chain(overflow);
        let mut page = String::new();
        for (client, count) in series {
            if page.is_empty() {
                page.push_str("# TYPE c counter\n");
            }
            let _ = writeln!(page, "c{{client=\"{client}\"}} {count}");
        }
        page
    }
}

proptest! {
    #[test]
    fn a_family_does_what_a_naive_one_does(steps in steps(), limit in 0_usize..10, dynamic: bool) {
        let registry = Registry::new();
        let mut model = Model { limit, ..Model::default() };
        let builder = Family::<Client, Counter>::builder("c", "");
        let typed = builder.limit(limit, &Client { client: "overflow" });
        let builder = Family::<Dynamic, Counter>::builder("c", "");
        let pairs = builder.limit(limit, &[("client", "overflow")]);
        let (typed, pairs) = if dynamic {
            (None, Some(pairs.register(&registry).unwrap()))
        } else {
            (Some(typed.register(&registry).unwrap()), None)
        };
        for step in steps {
            model.take(&step);
            if let Some(family) = &typed {
                match &step {
                    Step::Count(client, by) => {
                        family.get_or_create(&Client { client: &client.to_string() }).inc_by(*by);
                    }
                    Step::Remove(client) => {
                        family.remove(&Client { client: &client.to_string() });
                    }
                    Step::Retain(of) => family.retain(|series| series.metric().get() % u64::from(*of) == 0),
                    Step::Clear => family.clear(),
                }
                prop_assert_eq!(family.len(), model.series.len());
            }
            if let Some(family) = &pairs {
                match &step {
                    Step::Count(client, by) => {
                        family.get_or_create(&[("client", &client.to_string())]).unwrap().inc_by(*by);
                    }
                    Step::Remove(client) => {
                        family.remove(&[("client", &client.to_string())]);
                    }
                    Step::Retain(of) => family.retain(|series| series.metric().get() % u64::from(*of) == 0),
                    Step::Clear => family.clear(),
                }
                prop_assert_eq!(family.len(), model.series.len());
            }
            prop_assert_eq!(registry.exposition(), model.page());
        }
    }

    #[test]
    fn a_histogram_counts_what_a_naive_one_does(
        values in prop::collection::vec(-20.0..20.0, 0..50),
        width in 0.1..5.0,
    ) {
        let buckets = Buckets::linear(-10.0, width, 7);
        let histogram = Histogram::new(buckets.clone());
        for value in &values {
            histogram.observe(*value);
        }
        let bounds = buckets.bounds().iter().copied().chain([f64::INFINITY]);
        let naive = bounds.map(|bound| {
            let below = values.iter().filter(|value| **value <= bound);
            (bound, u64::try_from(below.count()).unwrap())
        });
        prop_assert_eq!(histogram.buckets().collect::<Vec<_>>(), naive.collect::<Vec<_>>());
        prop_assert!((histogram.sum() - values.iter().sum::<f64>()).abs() < 1e-6);
    }
}
