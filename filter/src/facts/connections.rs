//! The facts of a TCP connection. At its end they come in one evaluation; while it is open an expression
//! cannot be evaluated, since the proxy evaluates it for the context that it entered, the plugin's own.

use std::cell::OnceCell;

use stats_core::host::{ConnectionFacts, End};
use stats_core::peer::principals::Principals;

use super::{Attributes, integer, number, size, text, token, upstream_principals};
use crate::attributes as name;
use crate::pairs;

/// The expression of one plugin, compiled when a connection ends for the first time.
#[derive(Default)]
pub struct ConnectionQuery(OnceCell<Option<u32>>);

impl ConnectionQuery {
    /// The facts of a connection that has ended.
    pub fn ended<'a>(&self, proxy: &'a impl Attributes, principals: End) -> ConnectionFacts<'a> {
        let facts = at_once(proxy, token(&self.0, proxy, name::CONNECTION));
        ConnectionFacts {
            upstream: upstream(proxy, principals),
            ..facts.unwrap_or_else(|| one_by_one(proxy))
        }
    }

    /// Gives back what the proxy holds.
    pub fn release(&self, proxy: &impl Attributes) {
        if let Some(Some(token)) = self.0.get() {
            proxy.delete(*token);
        }
    }
}

/// The facts of a connection that is still open.
pub fn open(proxy: &impl Attributes, principals: End) -> ConnectionFacts<'_> {
    ConnectionFacts {
        response_flags: 0,
        reached_upstream: proxy.attribute(name::UPSTREAM_LOCAL_ADDRESS).is_some(),
        upstream: upstream(proxy, principals),
        ..one_by_one(proxy)
    }
}

fn upstream(proxy: &impl Attributes, principals: End) -> Principals<&[u8]> {
    match principals {
        End::Upstream => upstream_principals(proxy),
        End::Downstream => Principals::default(),
    }
}

fn at_once(proxy: &impl Attributes, token: Option<u32>) -> Option<ConnectionFacts<'_>> {
    let [flags, received, sent, cluster, route] = pairs::list(proxy.evaluate(token?)?)?;
    Some(ConnectionFacts {
        response_flags: integer(flags)?.cast_unsigned(),
        received_bytes: size(integer(received)?),
        sent_bytes: size(integer(sent)?),
        cluster,
        route,
        ..ConnectionFacts::default()
    })
}

/// What there is of a connection that went to no cluster, or is still open.
fn one_by_one(proxy: &impl Attributes) -> ConnectionFacts<'_> {
    let size_of = |path| number(proxy, path).map(size).unwrap_or_default();
    let flags = number(proxy, name::RESPONSE_FLAGS).unwrap_or_default();
    ConnectionFacts {
        response_flags: flags.cast_unsigned(),
        received_bytes: size_of(name::REQUEST_SIZE),
        sent_bytes: size_of(name::RESPONSE_SIZE),
        cluster: text(proxy, name::CLUSTER_NAME),
        route: text(proxy, name::ROUTE_NAME),
        ..ConnectionFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Proxy;
    use super::*;

    const SERVER: &[u8] = b"spiffe://td/ns/test/sa/podinfo";

    fn list() -> Vec<u8> {
        let mut elements: Vec<Vec<u8>> = [4_i64, 300, 500].map(|n| n.to_ne_bytes().to_vec()).into();
        elements.extend([b"cluster".to_vec(), b"route".to_vec()]);
        pairs::encode::encode(elements.iter().map(|element| (&**element, &b""[..])))
    }

    #[test]
    fn an_ended_connection_is_one_evaluation() {
        let mut proxy = Proxy::default();
        proxy.lists.insert(name::CONNECTION, list());
        let query = ConnectionQuery::default();
        for _ in 0..2 {
            let facts = query.ended(&proxy, End::Downstream);
            assert_eq!(facts.response_flags, 4);
            assert_eq!((facts.received_bytes, facts.sent_bytes), (300, 500));
            assert_eq!(
                (facts.cluster, facts.route),
                (&b"cluster"[..], &b"route"[..])
            );
        }
        assert_eq!(*proxy.created.borrow(), [name::CONNECTION]);
        query.release(&proxy);
        assert_eq!(*proxy.deleted.borrow(), [0]);
    }

    #[test]
    fn a_connection_to_no_cluster_is_asked_about_one_by_one() {
        let mut proxy = Proxy::default();
        let integers = [(name::RESPONSE_FLAGS, 1 << 8), (name::REQUEST_SIZE, 7)];
        for (path, value) in integers {
            proxy
                .attributes
                .insert(path, i64::to_ne_bytes(value).to_vec());
        }
        let facts = ConnectionQuery::default().ended(&proxy, End::Downstream);
        assert_eq!((facts.response_flags, facts.received_bytes), (1 << 8, 7));
        assert_eq!((facts.sent_bytes, facts.cluster), (0, &b""[..]));
    }

    #[test]
    fn an_open_connection_has_no_flags_and_says_whether_it_reached_the_upstream() {
        let mut proxy = Proxy::default();
        let flags = 1_i64.to_ne_bytes().to_vec();
        proxy.attributes.insert(name::RESPONSE_FLAGS, flags);
        proxy
            .attributes
            .insert(name::UPSTREAM_PEER_SAN, SERVER.into());
        let facts = open(&proxy, End::Upstream);
        assert_eq!((facts.response_flags, facts.reached_upstream), (0, false));
        assert_eq!(facts.upstream.peer, SERVER);
        let address = b"127.0.0.1:1".to_vec();
        proxy
            .attributes
            .insert(name::UPSTREAM_LOCAL_ADDRESS, address);
        let facts = open(&proxy, End::Downstream);
        assert!(facts.reached_upstream && facts.upstream.peer.is_empty());
    }
}
