//! The table, row by row, for each reporter.

use alloc::string::String;

use super::*;

fn workload(prefix: &str) -> Workload {
    let text = |name: &str| alloc::format!("{prefix}-{name}");
    Workload {
        instance: text("pod"),
        namespace: text("ns"),
        kind: "",
        name: text("workload"),
        cluster: text("cluster"),
        identity: text("identity"),
        region: String::new(),
        zone: String::new(),
        canonical_service: text("canonical"),
        canonical_revision: text("revision"),
        app: text("app"),
        version: text("version"),
        labels: [].into(),
    }
}

static NOBODY: Workload = Workload::UNKNOWN;

const NOTHING: Service<&[u8]> = Service {
    host: b"",
    name: b"",
    namespace: b"",
};
const PODINFO: Service<&[u8]> = Service {
    host: b"podinfo.test.svc",
    name: b"podinfo",
    namespace: b"test",
};
const PLAIN: Principals<&[u8]> = Principals {
    peer: b"",
    local: b"",
};
const MTLS: Principals<&[u8]> = Principals {
    peer: b"spiffe://td/ns/peer-cert-ns/sa/p",
    local: b"spiffe://td/ns/local-cert-ns/sa/l",
};
const OK: Outcome = Outcome {
    protocol: Protocol::Http,
    response_code: 200,
    response_flags: 0,
    grpc_status: None,
};

fn values(facts: &Facts) -> [String; 25] {
    Label::ALL.map(|label| String::from_utf8(facts.value(label).into_owned()).expect("text"))
}

#[test]
fn inbound_all_known() {
    let (local, peer) = (workload("local"), workload("peer"));
    let facts = Facts {
        reporter: Reporter::Destination,
        local: &local,
        peer: &peer,
        upstream: &NOBODY,
        principals: MTLS,
        service: PODINFO,
        outcome: OK,
    };
    let expected = [
        "destination",
        "peer-workload",
        "peer-cert-ns",
        "spiffe://td/ns/peer-cert-ns/sa/p",
        "peer-app",
        "peer-version",
        "peer-canonical",
        "peer-revision",
        "peer-cluster",
        "local-workload",
        "local-ns",
        "spiffe://td/ns/local-cert-ns/sa/l",
        "local-app",
        "local-version",
        "podinfo.test.svc",
        "podinfo",
        "local-ns",
        "local-canonical",
        "local-revision",
        "local-cluster",
        "http",
        "-",
        "mutual_tls",
        "200",
        "",
    ];
    assert_eq!(values(&facts), expected);
}

#[test]
fn outbound_all_known() {
    let (local, peer) = (workload("local"), workload("peer"));
    let facts = Facts {
        reporter: Reporter::Source,
        local: &local,
        peer: &peer,
        upstream: &NOBODY,
        principals: MTLS,
        service: PODINFO,
        outcome: OK,
    };
    let expected = [
        "source",
        "local-workload",
        "local-ns",
        "spiffe://td/ns/local-cert-ns/sa/l",
        "local-app",
        "local-version",
        "local-canonical",
        "local-revision",
        "local-cluster",
        "peer-workload",
        "peer-cert-ns",
        "spiffe://td/ns/peer-cert-ns/sa/p",
        "peer-app",
        "peer-version",
        "podinfo.test.svc",
        "podinfo",
        "test",
        "peer-canonical",
        "peer-revision",
        "peer-cluster",
        "http",
        "-",
        "unknown",
        "200",
        "",
    ];
    assert_eq!(values(&facts), expected);
}

#[test]
fn nothing_known() {
    let nobody = Workload::default();
    for (reporter, security) in [
        (Reporter::Destination, "none"),
        (Reporter::Source, "unknown"),
    ] {
        let facts = Facts {
            reporter,
            local: &nobody,
            peer: &nobody,
            upstream: &NOBODY,
            principals: PLAIN,
            service: NOTHING,
            outcome: Outcome {
                response_code: 0,
                response_flags: 1 << 14,
                ..OK
            },
        };
        for (label, value) in Label::ALL.into_iter().zip(values(&facts)) {
            let expected = match label {
                Label::Reporter => reporter.name(),
                Label::SourceCanonicalRevision | Label::DestinationCanonicalRevision => "latest",
                Label::RequestProtocol => "http",
                Label::ResponseFlags => "DC",
                Label::ConnectionSecurityPolicy => security,
                Label::ResponseCode => "0",
                Label::GrpcResponseStatus => "",
                _ => "unknown",
            };
            assert_eq!(value, expected, "{}", label.name());
        }
    }
}

#[test]
fn fallbacks_differ_by_side() {
    let (local, peer) = (workload("local"), workload("peer"));
    let mut facts = Facts {
        reporter: Reporter::Destination,
        local: &local,
        peer: &peer,
        upstream: &NOBODY,
        principals: PLAIN,
        service: NOTHING,
        outcome: OK,
    };
    let value = |facts: &Facts, label| String::from_utf8(facts.value(label).into_owned()).unwrap();
    assert_eq!(value(&facts, Label::DestinationService), "local-canonical");
    assert_eq!(
        value(&facts, Label::DestinationServiceName),
        "local-canonical"
    );
    assert_eq!(value(&facts, Label::SourceWorkloadNamespace), "peer-ns");
    facts.reporter = Reporter::Source;
    assert_eq!(value(&facts, Label::DestinationService), "unknown");
    assert_eq!(value(&facts, Label::DestinationPrincipal), "peer-identity");
    assert_eq!(value(&facts, Label::DestinationServiceNamespace), "peer-ns");
}

#[test]
fn one_principal_alone_is_no_mutual_tls() {
    let nobody = Workload::default();
    let facts = Facts {
        reporter: Reporter::Destination,
        local: &nobody,
        peer: &nobody,
        upstream: &NOBODY,
        principals: Principals { peer: b"", ..MTLS },
        service: NOTHING,
        outcome: OK,
    };
    assert_eq!(&*facts.value(Label::ConnectionSecurityPolicy), b"none");
}

#[test]
fn grpc_shows_its_status_and_protocol() {
    let nobody = Workload::default();
    let facts = Facts {
        reporter: Reporter::Destination,
        local: &nobody,
        peer: &nobody,
        upstream: &NOBODY,
        principals: PLAIN,
        service: NOTHING,
        outcome: Outcome {
            protocol: Protocol::Grpc,
            grpc_status: Some(5),
            ..OK
        },
    };
    assert_eq!(&*facts.value(Label::RequestProtocol), b"grpc");
    assert_eq!(&*facts.value(Label::GrpcResponseStatus), b"5");
}

#[test]
fn the_content_type_decides_what_grpc_is() {
    for (content_type, protocol) in [
        (Some(&b"application/grpc"[..]), Protocol::Grpc),
        (Some(b"application/grpc+proto"), Protocol::Grpc),
        (Some(b"application/grpc-web"), Protocol::Http),
        (Some(b"application/grpc;x"), Protocol::Http),
        (Some(b"text/plain"), Protocol::Http),
        (Some(b""), Protocol::Http),
        (None, Protocol::Http),
    ] {
        assert_eq!(Protocol::of(content_type), protocol, "{content_type:?}");
    }
}

#[test]
fn the_namespace_is_the_segment_between_ns_and_another() {
    assert_eq!(spiffe_namespace(b"spiffe://td/ns/test/sa/default"), b"test");
    assert_eq!(spiffe_namespace(b"spiffe://td/ns/test"), b"");
    assert_eq!(spiffe_namespace(b"spiffe://td/sa/default"), b"");
    assert_eq!(spiffe_namespace(b""), b"");
}

#[test]
fn a_waypoint_reports_both_peers() {
    let (local, peer, upstream) = (workload("local"), workload("peer"), workload("upstream"));
    let mut facts = Facts {
        reporter: Reporter::Waypoint,
        local: &local,
        peer: &peer,
        upstream: &upstream,
        principals: MTLS,
        service: PODINFO,
        outcome: OK,
    };
    let expected = [
        "waypoint",
        "peer-workload",
        "peer-cert-ns",
        "spiffe://td/ns/peer-cert-ns/sa/p",
        "peer-app",
        "peer-version",
        "peer-canonical",
        "peer-revision",
        "peer-cluster",
        "upstream-workload",
        "upstream-ns",
        "upstream-identity",
        "upstream-app",
        "upstream-version",
        "podinfo.test.svc",
        "podinfo",
        "test",
        "upstream-canonical",
        "upstream-revision",
        "upstream-cluster",
        "http",
        "-",
        "mutual_tls",
        "200",
        "",
    ];
    assert_eq!(values(&facts), expected);

    facts.upstream = &NOBODY;
    facts.service = NOTHING;
    let value = |label| String::from_utf8(facts.value(label).into_owned()).unwrap();
    assert_eq!(value(Label::DestinationCanonicalRevision), "unknown");
    assert_eq!(value(Label::DestinationService), "unknown");
    assert_eq!(value(Label::DestinationServiceNamespace), "unknown");
}
