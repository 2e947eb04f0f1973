//! When a connection is reported, and in which series.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::host::memory::{MemoryHost, MemoryMetrics};
use crate::host::{Connections, End, ListenerDirection};
use crate::labels::metrics::TcpMetric;
use crate::labels::{LABELS, Label};
use crate::registry::Registry;

const ENDPOINT: &[u8] = b"ledger;bank;ledger-svc;v1;east";

/// A proxy with one connection, and what was recorded of it.
struct Fixture {
    host: MemoryHost,
    plugin: TcpPlugin,
    connection: Connection,
    registry: Arc<Mutex<Registry>>,
}

impl Fixture {
    fn new(direction: ListenerDirection, configuration: &str) -> Self {
        let (config, _) = Config::parse(configuration.as_bytes()).expect("a configuration");
        let registry = Arc::new(Mutex::new(Registry::new()));
        let mut host = MemoryHost::new(MemoryMetrics::new(registry.clone()));
        host.direction = direction;
        host.facts.reached_upstream = true;
        Self {
            host,
            plugin: TcpPlugin::new(Role::Telemetry, &config, &LocalProxy::default()),
            connection: Connection::default(),
            registry,
        }
    }

    /// So many bytes have passed.
    fn bytes(&mut self, received: u64, sent: u64) {
        self.host.facts.request_bytes = received;
        self.host.facts.response_bytes = sent;
    }

    fn report(&mut self) {
        self.plugin.on_report(&mut self.host, &mut self.connection);
    }

    fn end(&mut self) {
        self.plugin.on_end(&mut self.host, &mut self.connection);
    }

    /// The samples of that metric, each with its labels.
    fn samples(&self, metric: TcpMetric) -> Vec<(String, u64)> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let page = registry.exposition();
        let name = alloc::format!("istio_{}{{", metric.name());
        let lines = page.lines().filter(|line| line.starts_with(&name));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                (series.to_string(), value.parse().expect("a number"))
            })
            .collect()
    }

    /// Opened, closed, sent, received, each over all series.
    fn sums(&self) -> [u64; 4] {
        TcpMetric::ALL.map(|metric| self.samples(metric).iter().map(|(_, value)| value).sum())
    }
}

#[test]
fn a_short_connection_is_counted_once_at_its_end() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, "");
    fixture.bytes(3, 5);
    fixture.end();
    assert_eq!(fixture.sums(), [1, 1, 5, 3]);
    let opened = fixture.samples(TcpMetric::ConnectionsOpenedTotal);
    let [(series, _)] = &*opened else {
        panic!("{opened:?}")
    };
    assert!(series.contains("request_protocol=\"tcp\""), "{series}");
    assert!(series.contains("reporter=\"destination\""), "{series}");
}

#[test]
fn a_connection_has_the_first_23_labels() {
    assert_eq!(
        TcpMetric::LABELS,
        Label::ConnectionSecurityPolicy as usize + 1
    );
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.end();
    let labels = fixture.host.metrics.last_labels();
    let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, LABELS[..23]);
}

#[test]
fn while_it_is_open_only_what_is_new_is_added() {
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.bytes(10, 1);
    fixture.report();
    assert_eq!(fixture.sums(), [1, 0, 1, 10]);
    let calls = fixture.host.calls.counts().total();
    fixture.report();
    assert_eq!(fixture.sums(), [1, 0, 1, 10]);
    assert_eq!(
        fixture.host.calls.counts().total() - calls,
        1,
        "one with nothing new is asked about, and no more"
    );
    fixture.bytes(12, 7);
    fixture.report();
    assert_eq!(fixture.sums(), [1, 0, 7, 12]);
    fixture.bytes(12, 9);
    fixture.end();
    assert_eq!(fixture.sums(), [1, 1, 9, 12]);
}

#[test]
fn a_client_that_may_still_introduce_itself_is_waited_for() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, "");
    // The server speaks first.
    fixture.bytes(0, 20);
    fixture.report();
    assert_eq!(fixture.sums(), [0; 4]);
    fixture.bytes(1, 20);
    fixture.report();
    assert_eq!(fixture.sums(), [1, 0, 20, 1]);
}

#[test]
fn a_server_is_waited_for_until_it_speaks_or_is_known() {
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.bytes(8, 0);
    fixture.report();
    assert_eq!(fixture.sums(), [0; 4]);
    fixture.host.peers.endpoint = Some(ENDPOINT.to_vec());
    fixture.report();
    assert_eq!(fixture.sums(), [1, 0, 0, 8]);
    let opened = fixture.samples(TcpMetric::ConnectionsOpenedTotal);
    assert!(
        opened[0].0.contains("destination_workload=\"ledger\""),
        "{opened:?}"
    );
}

#[test]
fn a_known_server_is_not_reported_before_its_certificate_can_be() {
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.host.peers.endpoint = Some(ENDPOINT.to_vec());
    fixture.host.facts.reached_upstream = false;
    fixture.bytes(8, 0);
    fixture.report();
    assert_eq!(fixture.sums(), [0; 4]);
}

#[test]
fn a_connection_stays_in_its_series_but_for_how_it_ended() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, "");
    fixture.bytes(1, 1);
    fixture.report();
    // What is known from here on comes too late.
    fixture.host.peers.published[End::Downstream as usize] = Some(b"\x0a\x00".to_vec());
    fixture.host.downstream.peer = b"spiffe://td/ns/late/sa/late".to_vec();
    fixture.host.facts.response_flags = 1 << 6;
    fixture.bytes(2, 1);
    fixture.end();
    let closed = fixture.samples(TcpMetric::ConnectionsClosedTotal);
    let closed: Vec<_> = closed.iter().filter(|(_, value)| *value > 0).collect();
    let [(series, 1)] = &*closed else {
        panic!("{closed:?}")
    };
    assert!(series.contains("response_flags=\"UC\""), "{series}");
    assert!(series.contains("source_principal=\"unknown\""), "{series}");
    assert_eq!(fixture.sums(), [1, 1, 1, 2]);
}

#[test]
fn a_connection_outlives_its_plugin_and_is_opened_once() {
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.host.peers.endpoint = Some(ENDPOINT.to_vec());
    fixture.bytes(8, 1);
    fixture.report();
    // The tables of the new plugin know nothing of what the old one has numbered.
    let (config, _) = Config::parse(b"").expect("a configuration");
    fixture.plugin = TcpPlugin::new(Role::Telemetry, &config, &LocalProxy::default());
    fixture.connection.forget_plugin();
    fixture.bytes(9, 4);
    fixture.end();
    assert_eq!(fixture.sums(), [1, 1, 4, 9]);
    let closed = fixture.samples(TcpMetric::ConnectionsClosedTotal);
    let closed: Vec<_> = closed.iter().filter(|(_, value)| *value > 0).collect();
    let [(series, 1)] = &*closed else {
        panic!("{closed:?}")
    };
    assert!(
        series.contains("destination_workload=\"ledger\""),
        "{series}"
    );
}

#[test]
fn the_service_is_the_clusters() {
    let mut fixture = Fixture::new(ListenerDirection::Outbound, "");
    fixture.host.facts.cluster = "PassthroughCluster".into();
    fixture.end();
    let opened = fixture.samples(TcpMetric::ConnectionsOpenedTotal);
    let series = &opened[0].0;
    assert!(
        series.contains("destination_service_name=\"PassthroughCluster\""),
        "{series}"
    );
    assert!(
        series.contains("destination_service=\"unknown\""),
        "{series}"
    );
}

#[test]
fn labels_of_the_users_own_are_evaluated_at_the_end() {
    let configuration = r#"{
        "metrics": [{ "dimensions": { "port": "destination.port" } }],
        "definitions": [{ "name": "mine", "value": "size", "type": "COUNTER" }]
    }"#;
    let mut fixture = Fixture::new(ListenerDirection::Inbound, configuration);
    fixture.host.expressions.values = Vec::from([
        ("destination.port", crate::host::Value::Int(5432)),
        ("size", crate::host::Value::Int(7)),
    ]);
    fixture.bytes(1, 1);
    fixture.report();
    assert_eq!(fixture.sums(), [0; 4]);
    fixture.end();
    assert_eq!(fixture.sums(), [1, 1, 1, 1]);
    let registry = fixture.registry.lock().expect("no panic");
    let page = registry.exposition();
    assert!(page.contains(",port=\"5432\"} 1"), "{page}");
    assert!(page.contains("istio_mine{port=\"5432\"} 7"), "{page}");
    drop(registry);
    fixture.plugin.release(&mut fixture.host);
    assert_eq!(fixture.host.expressions.held(), 0);
}

#[test]
fn what_exceeds_the_limit_is_counted_with_true_flags() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, r#"{"max_series": 1}"#);
    for flags in [0, 1 << 5, 1 << 6] {
        fixture.host.facts.response_flags = flags;
        fixture.connection = Connection::default();
        fixture.bytes(1, 2);
        fixture.end();
    }
    assert_eq!(fixture.sums(), [3, 3, 6, 3], "none is lost");
    let closed = fixture.samples(TcpMetric::ConnectionsClosedTotal);
    let beyond: Vec<_> = closed
        .iter()
        .filter(|(series, _)| series.contains("destination_service=\"overflow\""))
        .collect();
    for flags in ["UC", "UF"] {
        let flags = alloc::format!("response_flags=\"{flags}\"");
        let with_flags = beyond.iter().find(|(series, _)| series.contains(&flags));
        assert_eq!(with_flags.map(|(_, value)| *value), Some(1), "{closed:?}");
    }
    assert_eq!(beyond.len(), 2, "{closed:?}");
}

#[test]
fn the_direction_is_asked_for_once() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, "");
    fixture.bytes(1, 1);
    fixture.report();
    fixture.host.direction = ListenerDirection::Outbound;
    assert_eq!(
        fixture.host.listener_direction(),
        ListenerDirection::Outbound
    );
    fixture.end();
    let closed = fixture.samples(TcpMetric::ConnectionsClosedTotal);
    assert!(closed[0].0.contains("reporter=\"destination\""));
}

#[test]
fn an_exchange_alone_records_nothing() {
    let mut fixture = Fixture::new(ListenerDirection::Inbound, "");
    fixture.plugin.role = Role::MetadataExchange;
    fixture.end();
    assert_eq!(fixture.host.calls.counts().total(), 0);
}
