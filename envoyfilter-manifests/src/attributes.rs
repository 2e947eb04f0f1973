//! The names that a CEL expression can begin with in Envoy, as of 1.40, and the nearest of them to a wrong one.

/// Attributes with parts, each with all of them.
const GROUPS: [(&str, &[&str]); 7] = [
    (
        "request",
        &[
            "path",
            "url_path",
            "host",
            "scheme",
            "method",
            "headers",
            "headers_bytes",
            "referer",
            "useragent",
            "time",
            "id",
            "protocol",
            "query",
            "duration",
            "size",
            "total_size",
        ],
    ),
    (
        "response",
        &[
            "code",
            "code_details",
            "flags",
            "grpc_status",
            "headers",
            "headers_bytes",
            "trailers",
            "size",
            "total_size",
            "backend_latency",
        ],
    ),
    ("source", &["address", "port"]),
    ("destination", &["address", "port"]),
    (
        "connection",
        &[
            "id",
            "mtls",
            "requested_server_name",
            "tls_version",
            "subject_local_certificate",
            "subject_peer_certificate",
            "dns_san_local_certificate",
            "dns_san_peer_certificate",
            "uri_san_local_certificate",
            "uri_san_peer_certificate",
            "sha256_peer_certificate_digest",
            "peer_certificate",
            "transport_failure_reason",
            "termination_details",
        ],
    ),
    (
        "upstream",
        &[
            "address",
            "num_endpoints",
            "port",
            "tls_version",
            "subject_local_certificate",
            "subject_peer_certificate",
            "dns_san_local_certificate",
            "dns_san_peer_certificate",
            "uri_san_local_certificate",
            "uri_san_peer_certificate",
            "sha256_peer_certificate_digest",
            "peer_certificate",
            "local_address",
            "transport_failure_reason",
            "request_attempt_count",
            "cx_pool_ready_duration",
            "locality",
        ],
    ),
    (
        "xds",
        &[
            "node",
            "cluster_name",
            "cluster_metadata",
            "listener_direction",
            "listener_metadata",
            "route_name",
            "route_metadata",
            "virtual_host_name",
            "virtual_host_metadata",
            "upstream_host_metadata",
            "upstream_host_locality_metadata",
            "filter_chain_name",
        ],
    ),
];

/// Attributes whose parts are no fixed names, and those without any; also the older ones of Wasm extensions.
const WHOLE: [&str; 16] = [
    "metadata",
    "filter_state",
    "upstream_filter_state",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "node",
    "connection_id",
    "listener_direction",
    "listener_metadata",
    "cluster_name",
    "cluster_metadata",
    "route_name",
    "route_metadata",
    "upstream_host_metadata",
    "wasm",
];

/// CEL's own names of types, which an expression may compare with.
const TYPES: [&str; 13] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Below this, nothing is near.
const SIMILAR: f64 = 0.6;

/// Whether an expression may begin with this name and its first part, if it has one.
pub fn is_known(name: &str, part: Option<&str>) -> bool {
    match (GROUPS.iter().find(|(group, _)| *group == name), part) {
        (Some((_, parts)), Some(part)) => parts.contains(&part),
        (Some(_), None) => true,
        (None, _) => WHOLE.contains(&name) || TYPES.contains(&name),
    }
}

/// The attribute most like a name that is none.
pub fn nearest(name: &str) -> Option<String> {
    let parts = GROUPS.iter().flat_map(|(group, parts)| {
        let full = move |part: &&str| format!("{group}.{part}");
        parts.iter().map(full)
    });
    let whole = WHOLE.iter().map(|&name| name.to_owned());
    let likeness = |other: &String| strsim::normalized_damerau_levenshtein(name, other);
    parts
        .chain(whole)
        .map(|other| (likeness(&other), other))
        .filter(|(likeness, _)| *likeness > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_its_first_part() {
        for (name, part) in [
            ("request", Some("host")),
            ("request", None),
            ("metadata", Some("anything")),
            ("int", None),
        ] {
            assert!(is_known(name, part), "{name}");
        }
        assert!(!is_known("request", Some("hots")));
        assert!(!is_known("host", None));
    }

    #[test]
    fn the_nearest_name_is_found_and_for_nonsense_there_is_none() {
        let found = |name| nearest(name).unwrap();
        assert_eq!(found("request.hots"), "request.host");
        assert_eq!(found("respose.code"), "response.code");
        assert_eq!(found("filterstate"), "filter_state");
        assert_eq!(nearest("qqq"), None);
    }
}
