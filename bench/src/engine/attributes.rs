//! What a recorded proxy knows, in the words of the ABI: attributes by name, serialized, and what
//! expressions over them evaluate to.

use stats_core::host::{End, ListenerDirection, Value};

use crate::encode::encode;
use crate::recorded::{Recorded, messages};

/// A value as the proxy serializes it, and the code of its type, for an expression that asks for it.
type Serialized = (Vec<u8>, &'static [u8]);

/// An attribute by its path, segments separated by NUL.
pub fn attribute(proxy: &Recorded, path: &str) -> Option<Vec<u8>> {
    Some(serialized(proxy, &path.replace('\0', "."))?.0)
}

/// All headers of a map.
pub fn headers(headers: &stats_core::host::memory::HeaderList) -> Vec<u8> {
    let pairs = headers.iter();
    encode(pairs.map(|(name, value)| (name.as_bytes(), value)))
}

/// What an expression evaluates to: the attribute of its text, a list of attributes, or an attribute and
/// the code of its type. An error names what is not known.
///
/// # Errors
/// Names what is not known.
pub fn evaluated<'a>(proxy: &Recorded, expression: &'a str) -> Result<Vec<u8>, &'a str> {
    let find = |name: &'a str| serialized(proxy, name).ok_or(name);
    let typed = expression.strip_prefix("[(\n");
    if let Some((name, _)) = typed.and_then(|text| text.split_once("\n)].map(")) {
        let (value, code) = find(name)?;
        return Ok(list(&[value, code.to_vec()]));
    }
    let inner = expression.strip_prefix('[');
    match inner.and_then(|text| text.strip_suffix(']')) {
        Some(inner) => {
            let values = elements(inner).into_iter().map(find);
            let values = values.map(|value| value.map(|(value, _)| value));
            Ok(list(&values.collect::<Result<Vec<_>, _>>()?))
        }
        None => Ok(find(expression)?.0),
    }
}

fn serialized(proxy: &Recorded, name: &str) -> Option<Serialized> {
    let host = &proxy.host;
    let facts = &host.facts;
    let integer = |value: i64| Some((value.to_ne_bytes().to_vec(), &b"i"[..]));
    let text = |value: &[u8]| (!value.is_empty()).then(|| (value.to_vec(), &b"s"[..]));
    let message = |value: Vec<u8>| Some((value, &b"m"[..]));
    match name {
        "response.code" => integer(facts.response_code.into()),
        "response.flags" => integer(facts.response_flags.cast_signed()),
        "request.duration" => integer(facts.duration?.cast_signed()),
        "request.total_size" => integer(facts.request_bytes.cast_signed()),
        "response.total_size" => integer(facts.response_bytes.cast_signed()),
        "connection.id" => integer(facts.connection?.cast_signed()),
        "xds.cluster_name" => text(facts.cluster.as_bytes()),
        "xds.route_name" => text(facts.route.as_bytes()),
        "xds.listener_direction" => integer(match host.direction {
            ListenerDirection::Unspecified => 0,
            ListenerDirection::Inbound => 1,
            ListenerDirection::Outbound => 2,
        }),
        "connection.uri_san_peer_certificate" => text(&host.downstream.peer),
        "connection.uri_san_local_certificate" => text(&host.downstream.local),
        "upstream.uri_san_peer_certificate" => text(&facts.upstream.peer),
        "upstream.uri_san_local_certificate" => text(&facts.upstream.local),
        "has(upstream.tls_version)" => {
            let tls = !facts.upstream.peer.is_empty();
            Some((vec![u8::from(tls)], b"b"))
        }
        "xds.node" => message(messages::node(&proxy.local)),
        "xds.cluster_metadata" => {
            message(messages::cluster_metadata(host.cluster.service.as_ref()?))
        }
        "downstream_peer" => message(host.peers.published[End::Downstream as usize].clone()?),
        other => match host
            .expressions
            .values
            .iter()
            .find(|(known, _)| *known == other)?
        {
            (_, Value::Text(value)) => text(value),
            _ => None,
        },
    }
}

/// A list as the proxy serializes it: pairs of an element and nothing.
fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    encode(elements.iter().map(|element| (&**element, &b""[..])))
}

/// The elements of a list, split at the commas that are its own.
fn elements(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0_u32, false);
    let is_end = |c| {
        match c {
            '\'' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    };
    list.split(is_end).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_its_own_commas() {
        assert_eq!(
            elements("a.b, has(c, 'd'), 'e, (f' in g , [h, i]"),
            ["a.b", "has(c, 'd')", "'e, (f' in g", "[h, i]"]
        );
    }

    #[test]
    fn expressions_have_the_recorded_values() {
        let proxy = Recorded::inbound();
        let code = 200_i64.to_ne_bytes().to_vec();
        assert_eq!(
            evaluated(&proxy, "[response.code, xds.route_name]"),
            Ok(list(&[code.clone(), b"default".to_vec()]))
        );
        assert_eq!(evaluated(&proxy, "response.code"), Ok(code.clone()));
        let typed = "[(\nresponse.code\n)].map(v, …)[0]";
        assert_eq!(evaluated(&proxy, typed), Ok(list(&[code, b"i".to_vec()])));
        assert_eq!(
            evaluated(&proxy, "[response.code, no.such]"),
            Err("no.such")
        );
    }
}
