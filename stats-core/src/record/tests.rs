//! A recorder with a host in memory: which facts come to which series.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::Mutex;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::config::MetricsConfig;
use crate::host::End;
use crate::host::memory::{Call, MemoryHost, MemoryMetrics};
use crate::labels::service::Service;
use crate::labels::table::{self, Inputs};
use crate::labels::{LABELS, Label, OVERFLOW};
use crate::peer::principals::Principals;
use crate::registry::Registry;

/// A recorder, its tables and its host.
struct Fixture {
    host: MemoryHost,
    registry: Arc<Mutex<Registry>>,
    recorder: Recorder,
    tables: Tables,
}

/// What a request is, before it has numbers.
#[derive(Clone, Debug)]
struct Raw {
    peer: Workload,
    upstream: Workload,
    principals: Principals<&'static str>,
    service: Service<&'static str>,
    outcome: Outcome,
}

fn local() -> Workload {
    Workload {
        name: "podinfo".into(),
        namespace: "test".into(),
        canonical_service: "podinfo-svc".into(),
        ..Workload::UNKNOWN
    }
}

fn raw() -> Raw {
    Raw {
        peer: Workload::UNKNOWN,
        upstream: Workload::UNKNOWN,
        principals: Principals::default(),
        service: Service::default(),
        outcome: Outcome {
            response_code: 200,
            ..Outcome::default()
        },
    }
}

impl Raw {
    fn inputs<'a>(&'a self, reporter: Reporter, local: &'a Workload) -> Inputs<'a> {
        Inputs {
            reporter,
            local,
            peer: &self.peer,
            upstream: &self.upstream,
            principals: Principals {
                peer: self.principals.peer.as_bytes(),
                local: self.principals.local.as_bytes(),
            },
            service: Service {
                host: self.service.host.as_bytes(),
                name: self.service.name.as_bytes(),
                namespace: self.service.namespace.as_bytes(),
            },
            outcome: self.outcome,
        }
    }
}

impl Fixture {
    fn new(config: &MetricsConfig, reporter: Reporter) -> Self {
        let registry = Arc::<Mutex<Registry>>::default();
        let mut host = MemoryHost::new(MemoryMetrics::new(registry.clone()));
        let seed = Seed::new([3; 16]);
        let mut expressions = UserExpressions::default();
        let plan = Plan::compile(&mut host, config, &mut expressions);
        let (limit, zeroes) = (config.max_series, config.zero_initialize);
        let recorder = Recorder::new(plan, expressions, reporter, &local(), seed, limit, zeroes);
        let visible = recorder.visible();
        let operations = config.operations.clone();
        Self {
            host,
            registry,
            recorder,
            tables: Tables::new(seed, config.max_series, reporter, visible, operations),
        }
    }

    fn facts(&mut self, raw: &Raw, reporter: Reporter) -> Facts {
        let local = local();
        let inputs = raw.inputs(reporter, &local);
        let (principals, service) = (inputs.principals, inputs.service);
        let end = match reporter {
            Reporter::Source => End::Upstream,
            Reporter::Destination | Reporter::Waypoint => End::Downstream,
        };
        let upstream = match reporter {
            Reporter::Waypoint => self.tables.peers.id(&raw.upstream, End::Upstream),
            Reporter::Source | Reporter::Destination => None,
        };
        Facts {
            peer: self.tables.peers.id(&raw.peer, end),
            upstream,
            principals: self.tables.principals(principals),
            service: self.tables.service(service),
            outcome: raw.outcome,
            ..Facts::default()
        }
    }

    /// Records a request, and says which label set it came to.
    fn record(&mut self, raw: &Raw, reporter: Reporter) -> Option<SetId> {
        let facts = self.facts(raw, reporter);
        self.recorder.record(&mut self.host, &self.tables, &facts);
        let key = SeriesKey::new(&facts, &self.recorder.visible);
        self.recorder.at_end.sets.find(&key)
    }

    /// Makes one series of a label set that waits; whether one did.
    fn make_pending(&mut self) -> bool {
        let Self {
            host,
            recorder,
            tables,
            ..
        } = self;
        recorder.make_pending(host, tables)
    }

    fn requests(&self) -> Vec<String> {
        let page = self.registry.lock().unwrap().exposition();
        let lines = page.lines().map(ToString::to_string);
        lines
            .filter(|line| line.starts_with("istio_requests_total"))
            .collect()
    }

    /// How many requests are counted in all.
    fn total(&self) -> u64 {
        let requests = self.requests();
        let values = requests.iter().filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<u64>().ok()).sum()
    }
}

fn allowing(labels: &[&str], max_series: usize) -> MetricsConfig {
    MetricsConfig {
        allowed_labels: Some(labels.iter().map(ToString::to_string).collect()),
        max_series,
        ..MetricsConfig::default()
    }
}

fn named(name: &str) -> Raw {
    Raw {
        peer: Workload {
            name: name.into(),
            ..Workload::UNKNOWN
        },
        ..raw()
    }
}

#[test]
fn peers_that_no_label_shows_do_not_fill_the_table() {
    // Inbound, the destination is this proxy's own workload.
    let labels = ["reporter", "destination_workload", "response_code"];
    let config = allowing(&labels, 3);
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    for peer in ["a", "b", "c", "d", "e", "f"] {
        fixture.record(&named(peer), Reporter::Destination);
    }
    let only = "istio_requests_total{reporter=\"destination\",destination_workload=\"podinfo\",\
                response_code=\"200\"} 6";
    assert_eq!(fixture.requests(), [only]);
}

#[test]
fn a_known_key_reaches_the_host_only_to_record() {
    let mut fixture = Fixture::new(&MetricsConfig::default(), Reporter::Destination);
    fixture.record(&named("a"), Reporter::Destination);
    let before = fixture.host.calls.counts();
    fixture.record(&named("a"), Reporter::Destination);
    let calls = fixture.host.calls.counts().since(&before);
    assert_eq!((calls.of(Call::Add), calls.of(Call::Observe)), (1, 2));
    assert_eq!(calls.total(), 3, "no duration is known");
}

#[test]
fn label_sets_that_look_the_same_share_a_slot_although_their_parts_differ() {
    let config = allowing(&["source_workload_namespace"], 2);
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    let stated = Raw {
        peer: Workload {
            namespace: "shop".into(),
            ..Workload::UNKNOWN
        },
        ..raw()
    };
    let vouched = Raw {
        principals: Principals {
            peer: "spiffe://td/ns/shop/sa/cart",
            local: "spiffe://td/ns/test/sa/podinfo",
        },
        ..raw()
    };
    let set = fixture.record(&stated, Reporter::Destination);
    assert_eq!(fixture.record(&vouched, Reporter::Destination), set);
    let other = fixture.record(&raw(), Reporter::Destination);
    assert_ne!(other, set);
    assert_eq!(fixture.requests().len(), 2);
}

#[test]
fn what_exceeds_the_limit_is_counted_in_one_more() {
    let config = MetricsConfig {
        max_series: 2,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    for peer in ["a", "b", "c", "d", "a"] {
        fixture.record(&named(peer), Reporter::Destination);
    }
    let requests = fixture.requests();
    let count = |peer: &str| {
        let is = |line: &&String| line.contains(&alloc::format!("source_workload=\"{peer}\""));
        let line = requests.iter().find(is).expect("a sample");
        line.rsplit(' ').next().map(ToString::to_string)
    };
    assert_eq!(count("a").as_deref(), Some("2"));
    assert_eq!(count("b").as_deref(), Some("1"));
    assert_eq!(count("overflow").as_deref(), Some("2"));
}

/// How many label sets the gauge says wait.
fn pending(fixture: &Fixture) -> Option<String> {
    let page = fixture.registry.lock().unwrap().exposition();
    let line = page
        .lines()
        .find(|line| line.starts_with("istio_pending_label_sets{"))?;
    line.rsplit(' ').next().map(ToString::to_string)
}

#[test]
fn without_time_a_label_set_waits_for_its_series_and_none_of_its_counts_is_lost() {
    let mut fixture = Fixture::new(&MetricsConfig::default(), Reporter::Destination);
    fixture.host.metrics.is_busy = true;
    for peer in ["a", "b", "a", "a"] {
        fixture.record(&named(peer), Reporter::Destination);
    }
    assert_eq!(fixture.requests(), [""; 0]);
    assert!(fixture.host.metrics.is_called_soon);
    assert_eq!(pending(&fixture).as_deref(), Some("2"));

    // The most counted comes first, a series at a time.
    for _ in 0..4 {
        assert!(fixture.make_pending());
    }
    let requests = fixture.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].contains("source_workload=\"a\"") && requests[0].ends_with(" 3"),
        "{requests:?}"
    );
    // Whoever is new meanwhile is not served before those that wait.
    fixture.host.metrics.is_busy = false;
    fixture.record(&named("c"), Reporter::Destination);
    assert_eq!(pending(&fixture).as_deref(), Some("2"));
    while fixture.make_pending() {}
    assert_eq!((fixture.requests().len(), fixture.total()), (3, 5));
    assert_eq!(pending(&fixture).as_deref(), Some("0"));
    fixture.record(&named("d"), Reporter::Destination);
    assert_eq!((fixture.requests().len(), fixture.total()), (4, 6));
}

#[test]
fn what_waits_at_the_end_is_counted_as_overflow() {
    let mut fixture = Fixture::new(&MetricsConfig::default(), Reporter::Destination);
    fixture.host.metrics.is_busy = true;
    for peer in ["a", "b", "a"] {
        fixture.record(&named(peer), Reporter::Destination);
    }
    let Fixture {
        host,
        recorder,
        tables,
        ..
    } = &mut fixture;
    recorder.end(host, tables);
    let requests = fixture.requests();
    assert_eq!((requests.len(), fixture.total()), (1, 3));
    assert!(
        requests[0].contains("source_workload=\"overflow\""),
        "{requests:?}"
    );
    assert_eq!(pending(&fixture).as_deref(), Some("0"));
}

#[test]
fn more_values_than_are_kept_are_counted_as_overflow() {
    let mut fixture = Fixture::new(&MetricsConfig::default(), Reporter::Destination);
    fixture.host.metrics.is_busy = true;
    let mut facts = fixture.facts(&named("a"), Reporter::Destination);
    for bytes in 0..2_000 {
        facts.measures.request_bytes = bytes;
        let Fixture {
            host,
            recorder,
            tables,
            ..
        } = &mut fixture;
        recorder.record(host, tables, &facts);
    }
    while fixture.make_pending() {}
    let requests = fixture.requests();
    assert_eq!((requests.len(), fixture.total()), (2, 2_000));
}

#[test]
fn more_label_sets_than_may_wait_are_counted_as_overflow_and_forgotten() {
    let config = MetricsConfig {
        max_series: 5_000,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    fixture.host.metrics.is_busy = true;
    let all = |fixture: &mut Fixture| {
        for peer in 0..1_500 {
            fixture.record(
                &named(&alloc::format!("peer-{peer}")),
                Reporter::Destination,
            );
        }
        while fixture.make_pending() {}
    };
    all(&mut fixture);
    assert_eq!((fixture.requests().len(), fixture.total()), (1_001, 1_500));
    all(&mut fixture);
    assert_eq!((fixture.requests().len(), fixture.total()), (1_501, 3_000));
}

proptest! {
    /// Whether label sets had to wait cannot be seen when none does any more.
    #[test]
    fn waiting_changes_no_count(
        steps in prop::collection::vec((0_u8..8, 0_u64..4, any::<bool>()), 0..200),
        max_series in 0_usize..6,
        zero_initialize in any::<bool>(),
    ) {
        let config = MetricsConfig { zero_initialize, max_series, ..MetricsConfig::default() };
        let run = |waits: bool| {
            let mut fixture = Fixture::new(&config, Reporter::Destination);
            for (peer, bytes, is_busy) in &steps {
                fixture.host.metrics.is_busy = waits && *is_busy;
                let mut facts =
                    fixture.facts(&named(&peer.to_string()), Reporter::Destination);
                facts.measures.request_bytes = *bytes;
                facts.outcome.response_code = 200 + u32::from(*is_busy);
                let Fixture { host, recorder, tables, .. } = &mut fixture;
                recorder.record(host, tables, &facts);
                if *bytes == 0 {
                    fixture.make_pending();
                }
            }
            while fixture.make_pending() {}
            let page = fixture.registry.lock().unwrap().exposition();
            let lines = page.lines().filter(|line| !line.contains("pending_label_sets"));
            lines.map(ToString::to_string).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(true), run(false));
    }
}

#[test]
fn past_the_limit_what_is_remembered_is_bounded_and_what_was_known_stays_known() {
    let config = MetricsConfig {
        max_series: 3,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    let outcome = |code| Raw {
        outcome: Outcome {
            response_code: code,
            ..Outcome::default()
        },
        ..raw()
    };
    for code in 200..300 {
        fixture.record(&outcome(code), Reporter::Destination);
    }
    let known = fixture.record(&outcome(201), Reporter::Destination);
    assert!(known.is_some());
    let beyond = fixture.record(&outcome(204), Reporter::Destination);
    assert!(beyond.is_some() && beyond != known, "remembered");
    assert_eq!(fixture.record(&outcome(299), Reporter::Destination), None);
    let series = fixture.host.metrics.count();
    fixture.record(&outcome(299), Reporter::Destination);
    assert_eq!(fixture.host.metrics.count(), series, "nothing is defined");
    assert_eq!(fixture.total(), 104, "none is lost");
}

#[test]
fn an_error_beyond_the_limit_is_an_error_of_the_local_workload() {
    let config = MetricsConfig {
        max_series: 1,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    fixture.record(&named("first"), Reporter::Destination);
    for _ in 0..3 {
        let failed = Raw {
            outcome: Outcome {
                response_code: 503,
                response_flags: 1 << 6,
                ..Outcome::default()
            },
            principals: Principals {
                peer: "spiffe://td/ns/shop/sa/cart",
                local: "spiffe://td/ns/test/sa/podinfo",
            },
            ..named("cart")
        };
        fixture.record(&failed, Reporter::Destination);
    }
    let expected = "istio_requests_total{reporter=\"destination\",source_workload=\"overflow\",\
        source_workload_namespace=\"overflow\",source_principal=\"overflow\",source_app=\"overflow\",\
        source_version=\"overflow\",source_canonical_service=\"overflow\",\
        source_canonical_revision=\"overflow\",source_cluster=\"overflow\",\
        destination_workload=\"podinfo\",destination_workload_namespace=\"test\",\
        destination_principal=\"overflow\",destination_app=\"unknown\",destination_version=\"unknown\",\
        destination_service=\"overflow\",destination_service_name=\"overflow\",\
        destination_service_namespace=\"test\",destination_canonical_service=\"podinfo-svc\",\
        destination_canonical_revision=\"latest\",destination_cluster=\"unknown\",\
        request_protocol=\"http\",response_flags=\"UC\",connection_security_policy=\"mutual_tls\",\
        response_code=\"503\",grpc_response_status=\"\"} 3";
    assert!(
        fixture.requests().iter().any(|line| line == expected),
        "{:#?}",
        fixture.requests()
    );
}

#[test]
fn overflow_series_are_few_whatever_upstreams_answer() {
    let config = MetricsConfig {
        max_series: 0,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Source);
    let mut sent = 0;
    for code in 100..1000 {
        for response_flags in [0, 1 << 2, 0b111, 1 << 40] {
            let outcome = Outcome {
                response_code: code,
                response_flags,
                protocol: Protocol::Grpc,
                grpc_status: Some(code.cast_signed() - 100),
            };
            fixture.record(&Raw { outcome, ..raw() }, Reporter::Source);
            sent += 1;
        }
    }
    assert_eq!(fixture.requests().len(), overflow::OVERFLOW_SETS + 1);
    assert_eq!(fixture.total(), sent);
    let nothing_told = "request_protocol=\"overflow\",response_flags=\"overflow\",\
        connection_security_policy=\"unknown\",response_code=\"overflow\",grpc_response_status=\"overflow\"";
    let last = fixture
        .requests()
        .into_iter()
        .find(|line| line.contains(nothing_told));
    assert!(last.is_some_and(|line| line.contains("source_workload=\"podinfo\"")));
}

#[test]
fn the_zeroes_of_a_peer_beyond_the_limit_are_those_of_the_overflow() {
    let config = MetricsConfig {
        max_series: 0,
        zero_initialize: true,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    fixture.record(&named("a"), Reporter::Destination);
    fixture.record(&named("b"), Reporter::Destination);
    let counted = |code: &str| {
        let label = alloc::format!("response_code=\"{code}\"");
        let requests = fixture.requests();
        let line = requests.iter().find(|line| line.contains(&label));
        line.and_then(|line| line.rsplit(' ').next().map(ToString::to_string))
    };
    assert_eq!(counted("200").as_deref(), Some("2"));
    assert_eq!(counted("500").as_deref(), Some("0"));
}

#[test]
fn dropped_metrics_take_no_slot() {
    let config = MetricsConfig {
        overrides: Vec::from([crate::config::MetricOverride {
            drop: true,
            ..Default::default()
        }]),
        max_series: 1,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    for peer in ["a", "b", "c"] {
        assert_eq!(
            fixture
                .record(&named(peer), Reporter::Destination)
                .unwrap_or(SetId::DROPPED),
            SetId::DROPPED
        );
    }
    assert!(fixture.recorder.at_end.sets.has_room());
    assert!(fixture.requests().is_empty());
}

#[test]
fn a_drop_is_obeyed_beyond_the_limit_also_for_what_no_table_has_room_for() {
    let dropping = crate::config::MetricOverride {
        drop: true,
        condition: "true".into(),
        ..Default::default()
    };
    let labelling = crate::config::MetricOverride {
        dimensions: Vec::from([("path".into(), "request.path".into())]),
        ..Default::default()
    };
    let config = MetricsConfig {
        overrides: Vec::from([dropping, labelling]),
        max_series: 1,
        ..MetricsConfig::default()
    };
    let mut fixture = Fixture::new(&config, Reporter::Destination);
    for at in 0..5 {
        for holds in [0, 1] {
            let values = [0, 0, 0, 0, 1, 0, 0, 0, b'0' + at];
            let evaluated = &mut fixture.tables.evaluated;
            let is = |known: &evaluated::Evaluated| known.is(holds, &values);
            let make = || evaluated::Evaluated::new(holds, &values);
            let mut id = evaluated.id((holds, &values[..]), is, make);
            if id == tables::EvaluatedId::NO_ROOM {
                id = evaluated.part(evaluated::Evaluated::new(holds, &[]));
            }
            let facts = Facts {
                evaluated: id,
                ..fixture.facts(&raw(), Reporter::Destination)
            };
            let Fixture {
                host,
                recorder,
                tables,
                ..
            } = &mut fixture;
            recorder.record(host, tables, &facts);
        }
    }
    assert_eq!(fixture.total(), 5, "those that no entry drops");
    assert_eq!(fixture.requests().len(), 2);
}

fn workloads() -> impl Strategy<Value = Workload> {
    let text = || select(&["", "", "a", "b", "unknown"][..]);
    (
        (text(), text(), text(), text()),
        (text(), text(), text()),
        select(
            &[
                "",
                "spiffe://td/ns/a/sa/x",
                "spiffe://td/ns/b/sa/x",
                "other",
            ][..],
        ),
    )
        .prop_map(
            |((name, namespace, app, version), (service, revision, cluster), identity)| {
                Workload {
                    name: name.into(),
                    namespace: namespace.into(),
                    app: app.into(),
                    version: version.into(),
                    canonical_service: service.into(),
                    canonical_revision: revision.into(),
                    cluster: cluster.into(),
                    identity: identity.into(),
                    // Never shown by a label.
                    instance: alloc::format!("{name}-{namespace}"),
                    ..Workload::UNKNOWN
                }
            },
        )
}

fn raws() -> impl Strategy<Value = Raw> {
    let principal = || {
        select(
            &[
                "",
                "spiffe://td/ns/a/sa/x",
                "spiffe://td/ns/a/sa/y",
                "spiffe://td/ns/b/sa/x",
                "no-namespace",
            ][..],
        )
    };
    let text = || select(&["", "podinfo-svc", "b", "unknown"][..]);
    (
        workloads(),
        workloads(),
        (principal(), principal()),
        (text(), text(), text()),
        (select(&[200_u32, 503][..]), select(&[0_u64, 4][..])),
        (any::<bool>(), select(&[None, Some(0), Some(5)][..])),
    )
        .prop_map(
            |(peer, upstream, principals, service, (code, flags), (grpc, status))| Raw {
                peer,
                upstream,
                principals: Principals {
                    peer: principals.0,
                    local: principals.1,
                },
                service: Service {
                    host: service.0,
                    name: service.1,
                    namespace: service.2,
                },
                outcome: Outcome {
                    protocol: if grpc { Protocol::Grpc } else { Protocol::Http },
                    response_code: code,
                    response_flags: flags,
                    grpc_status: status,
                },
            },
        )
}

/// The labels that a page shows of a request, by the table alone.
fn visible_labels(raw: &Raw, reporter: Reporter, allowed: &[&str]) -> Vec<Vec<u8>> {
    let upstream = match reporter {
        Reporter::Waypoint => raw.upstream.clone(),
        Reporter::Source | Reporter::Destination => Workload::UNKNOWN,
    };
    let raw = Raw {
        upstream,
        ..raw.clone()
    };
    let local = local();
    let inputs = raw.inputs(reporter, &local);
    let labels = Label::ALL.into_iter();
    labels
        .filter(|label| allowed.contains(&label.name()))
        .map(|label| table::value(label, &inputs).into_owned())
        .collect()
}

proptest! {
    #[test]
    fn requests_share_a_label_set_exactly_if_they_look_the_same(
        raws in prop::collection::vec(raws(), 2..12),
        reporter in select(&Reporter::ALL[..]),
        allowed in subsequence(&LABELS[..], 1..6),
    ) {
        let mut fixture = Fixture::new(&allowing(&allowed, 1000), reporter);
        let sets: Vec<_> = raws.iter().map(|raw| fixture.record(raw, reporter)).collect();
        let looks: Vec<_> = raws.iter().map(|raw| visible_labels(raw, reporter, &allowed)).collect();
        for (one, other) in (0..raws.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
            prop_assert_eq!(
                sets[one] == sets[other],
                looks[one] == looks[other],
                "{:?} {:?}: {:?} and {:?}", reporter, allowed, raws[one], raws[other]
            );
        }
    }

    #[test]
    fn beyond_the_limit_each_label_is_true_or_says_overflow_as_the_table_has_it(
        raw in raws(),
        reporter in select(&Reporter::ALL[..]),
        label in select(&Label::ALL[..]),
    ) {
        let mut fixture = Fixture::new(&allowing(&[label.name()], 0), reporter);
        fixture.record(&raw, reporter);
        let value = if table::origin(label, reporter).is_bounded() {
            String::from_utf8(visible_labels(&raw, reporter, &[label.name()])[0].clone()).expect("text")
        } else {
            OVERFLOW.to_string()
        };
        let expected = alloc::format!("istio_requests_total{{{}=\"{value}\"}} 1", label.name());
        prop_assert_eq!(fixture.requests(), [expected]);
    }

    #[test]
    fn a_value_depends_on_nothing_else_than_the_table_says(
        raw in raws(),
        reporter in select(&Reporter::ALL[..]),
        label in select(&Label::ALL[..]),
    ) {
        let mut fixture = Fixture::new(&allowing(&[label.name()], 1000), reporter);
        fixture.record(&raw, reporter);
        let value = visible_labels(&raw, reporter, &[label.name()]);
        let value = String::from_utf8(value[0].clone()).expect("text");
        let expected = alloc::format!("istio_requests_total{{{}=\"{value}\"}} 1", label.name());
        prop_assert_eq!(fixture.requests(), [expected]);
    }
}
