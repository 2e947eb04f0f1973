//! The table, row by row, for each reporter.

use alloc::string::String;

use super::outcome::{Outcome, Protocol};
use super::service::Service;
use super::table::{Inputs, value};
use super::*;
use crate::peer::principals::Principals;
use crate::peer::workload::{Locality, Workload};

fn workload(prefix: &str) -> Workload {
    let text = |name: &str| alloc::format!("{prefix}-{name}");
    Workload {
        instance: text("pod"),
        namespace: text("ns"),
        kind: "",
        name: text("workload"),
        cluster: text("cluster"),
        identity: text("identity"),
        locality: Locality::default(),
        canonical_service: text("canonical"),
        canonical_revision: text("revision"),
        app: text("app"),
        version: text("version"),
        labels: [].into(),
    }
}

static UNKNOWN_PEER: Workload = Workload::UNKNOWN;

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

fn values(inputs: &Inputs) -> [String; 25] {
    Label::ALL.map(|label| String::from_utf8(value(label, inputs).into_owned()).expect("text"))
}

#[test]
fn inbound_all_known() {
    let (local, peer) = (workload("local"), workload("peer"));
    let inputs = Inputs {
        reporter: Reporter::Destination,
        local: &local,
        peer: &peer,
        upstream: &UNKNOWN_PEER,
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
    assert_eq!(values(&inputs), expected);
}

#[test]
fn outbound_all_known() {
    let (local, peer) = (workload("local"), workload("peer"));
    let inputs = Inputs {
        reporter: Reporter::Source,
        local: &local,
        peer: &peer,
        upstream: &UNKNOWN_PEER,
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
    assert_eq!(values(&inputs), expected);
}

#[test]
fn nothing_known() {
    let unknown = Workload::default();
    for (reporter, security) in [
        (Reporter::Destination, "none"),
        (Reporter::Source, "unknown"),
    ] {
        let inputs = Inputs {
            reporter,
            local: &unknown,
            peer: &unknown,
            upstream: &UNKNOWN_PEER,
            principals: PLAIN,
            service: NOTHING,
            outcome: Outcome {
                response_code: 0,
                response_flags: 1 << 14,
                ..OK
            },
        };
        for (label, value) in Label::ALL.into_iter().zip(values(&inputs)) {
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
    let mut inputs = Inputs {
        reporter: Reporter::Destination,
        local: &local,
        peer: &peer,
        upstream: &UNKNOWN_PEER,
        principals: PLAIN,
        service: NOTHING,
        outcome: OK,
    };
    let value =
        |inputs: &Inputs, label| String::from_utf8(value(label, inputs).into_owned()).unwrap();
    assert_eq!(value(&inputs, Label::DestinationService), "local-canonical");
    assert_eq!(
        value(&inputs, Label::DestinationServiceName),
        "local-canonical"
    );
    assert_eq!(value(&inputs, Label::SourceWorkloadNamespace), "peer-ns");
    inputs.reporter = Reporter::Source;
    assert_eq!(value(&inputs, Label::DestinationService), "unknown");
    assert_eq!(value(&inputs, Label::DestinationPrincipal), "peer-identity");
    assert_eq!(
        value(&inputs, Label::DestinationServiceNamespace),
        "peer-ns"
    );
}

#[test]
fn one_principal_alone_is_no_mutual_tls() {
    let unknown = Workload::default();
    let inputs = Inputs {
        reporter: Reporter::Destination,
        local: &unknown,
        peer: &unknown,
        upstream: &UNKNOWN_PEER,
        principals: Principals { peer: b"", ..MTLS },
        service: NOTHING,
        outcome: OK,
    };
    assert_eq!(&*value(Label::ConnectionSecurityPolicy, &inputs), b"none");
}

#[test]
fn grpc_shows_its_status_and_protocol() {
    let unknown = Workload::default();
    let inputs = Inputs {
        reporter: Reporter::Destination,
        local: &unknown,
        peer: &unknown,
        upstream: &UNKNOWN_PEER,
        principals: PLAIN,
        service: NOTHING,
        outcome: Outcome {
            protocol: Protocol::Grpc,
            grpc_status: Some(5),
            ..OK
        },
    };
    assert_eq!(&*value(Label::RequestProtocol, &inputs), b"grpc");
    assert_eq!(&*value(Label::GrpcResponseStatus, &inputs), b"5");
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
fn a_waypoint_reports_both_peers() {
    let (local, peer, upstream) = (workload("local"), workload("peer"), workload("upstream"));
    let mut inputs = Inputs {
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
    assert_eq!(values(&inputs), expected);

    inputs.upstream = &UNKNOWN_PEER;
    inputs.service = NOTHING;
    let value = |label| String::from_utf8(value(label, &inputs).into_owned()).unwrap();
    assert_eq!(value(Label::DestinationCanonicalRevision), "unknown");
    assert_eq!(value(Label::DestinationService), "unknown");
    assert_eq!(value(Label::DestinationServiceNamespace), "unknown");
}
