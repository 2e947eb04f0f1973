//! The facts of a request, asked of the proxy in as few calls as can be.
//!
//! An attribute that is absent fails the whole evaluation of an expression, so the expressions hold
//! what a finished request nearly always has. Where one fails, the attributes are asked for one by
//! one, which costs more and tells what there is.

pub mod connections;

use std::cell::{Cell, OnceCell};

use stats_core::host::{End, RequestFacts};
use stats_core::peer::principals::Principals;

use crate::attributes as name;
use crate::pairs;

/// The attributes of a proxy.
///
/// Integers and durations (in nanoseconds) are eight bytes in native order, booleans one, lists and
/// maps [pairs], messages in their protobuf encoding, texts as they are.
pub trait Attributes {
    /// One attribute by its path.
    fn attribute(&self, path: &str) -> Option<&[u8]>;
    /// Compiles an expression to a token.
    fn create(&self, expression: &str) -> Option<u32>;
    /// Evaluates an expression for the current request; `None` where any part of it is absent.
    fn evaluate(&self, token: u32) -> Option<&[u8]>;
    /// Releases an expression.
    fn delete(&self, token: u32);
}

/// The expressions of one plugin, each compiled when it is first needed.
#[derive(Default)]
pub struct FactQueries {
    inbound: OnceCell<Option<u32>>,
    plain: OnceCell<Option<u32>>,
    mtls: OnceCell<Option<u32>>,
    /// Whether the last upstream had certificates: then the next one is likely to. An upstream
    /// connection has no id by which they could be remembered.
    expects_mtls: Cell<bool>,
}

impl FactQueries {
    /// The facts of a request that has ended.
    #[inline]
    pub fn finished<'a>(&self, proxy: &'a impl Attributes, principals: End) -> RequestFacts<'a> {
        let facts = match principals {
            End::Downstream => inbound(proxy, token(&self.inbound, proxy, name::INBOUND)),
            End::Upstream => self.outbound(proxy),
        };
        facts.unwrap_or_else(|| one_by_one(proxy, principals))
    }

    #[inline]
    fn outbound<'a>(&self, proxy: &'a impl Attributes) -> Option<RequestFacts<'a>> {
        if self.expects_mtls.get() {
            let facts = outbound_mtls(proxy, token(&self.mtls, proxy, name::OUTBOUND_MTLS));
            if facts.is_some() {
                return facts;
            }
        }
        let (mut facts, tls) =
            outbound_plain(proxy, token(&self.plain, proxy, name::OUTBOUND_PLAIN))?;
        if tls {
            facts.upstream = upstream_principals(proxy);
        }
        let Principals { peer, local } = facts.upstream;
        self.expects_mtls.set(!peer.is_empty() && !local.is_empty());
        Some(facts)
    }

    /// Gives back what the proxy holds.
    pub fn release(&self, proxy: &impl Attributes) {
        for query in [&self.inbound, &self.plain, &self.mtls] {
            if let Some(Some(token)) = query.get() {
                proxy.delete(*token);
            }
        }
    }
}

/// The facts of a request that is still open: status and sizes are unset.
pub fn open(proxy: &impl Attributes, principals: End) -> RequestFacts<'_> {
    RequestFacts {
        cluster: text(proxy, name::CLUSTER_NAME),
        route: text(proxy, name::ROUTE_NAME),
        connection: number(proxy, name::CONNECTION_ID).map(i64::cast_unsigned),
        upstream: match principals {
            End::Upstream => upstream_principals(proxy),
            End::Downstream => Principals::default(),
        },
        ..RequestFacts::default()
    }
}

/// The principals of the downstream connection.
pub fn downstream_principals(proxy: &impl Attributes) -> Principals<&[u8]> {
    Principals {
        peer: text(proxy, name::DOWNSTREAM_PEER_SAN),
        local: text(proxy, name::DOWNSTREAM_LOCAL_SAN),
    }
}

/// An integer, a duration in nanoseconds or a point in time, as the proxy serializes it.
#[inline]
pub fn integer(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_ne_bytes(bytes.try_into().ok()?))
}

/// An attribute that is a number.
pub fn number(proxy: &impl Attributes, path: &str) -> Option<i64> {
    proxy.attribute(path).and_then(integer)
}

/// An attribute that is a text; empty where it is absent.
pub fn text<'a>(proxy: &'a impl Attributes, path: &str) -> &'a [u8] {
    proxy.attribute(path).unwrap_or_default()
}

/// What there is of a request that the expressions fail on: no route, no response, no upstream.
#[cold]
fn one_by_one(proxy: &impl Attributes, principals: End) -> RequestFacts<'_> {
    let size_of = |path| number(proxy, path).map(size);
    RequestFacts {
        response_code: number(proxy, name::RESPONSE_CODE)
            .map(code)
            .unwrap_or_default(),
        response_flags: number(proxy, name::RESPONSE_FLAGS)
            .unwrap_or_default()
            .cast_unsigned(),
        duration: size_of(name::DURATION),
        request_bytes: size_of(name::REQUEST_SIZE).unwrap_or_default(),
        response_bytes: size_of(name::RESPONSE_SIZE).unwrap_or_default(),
        ..open(proxy, principals)
    }
}

fn upstream_principals(proxy: &impl Attributes) -> Principals<&[u8]> {
    Principals {
        peer: text(proxy, name::UPSTREAM_PEER_SAN),
        local: text(proxy, name::UPSTREAM_LOCAL_SAN),
    }
}

#[inline]
fn token(query: &OnceCell<Option<u32>>, proxy: &impl Attributes, expression: &str) -> Option<u32> {
    *query.get_or_init(|| proxy.create(expression))
}

fn inbound(proxy: &impl Attributes, token: Option<u32>) -> Option<RequestFacts<'_>> {
    common(pairs::list(proxy.evaluate(token?)?)?)
}

fn outbound_mtls(proxy: &impl Attributes, token: Option<u32>) -> Option<RequestFacts<'_>> {
    let list = pairs::list::<{ name::COMMON + 2 }>(proxy.evaluate(token?)?)?;
    let [facts @ .., peer, local] = list;
    Some(RequestFacts {
        upstream: Principals { peer, local },
        ..common(facts)?
    })
}

/// Also says whether the upstream has TLS.
fn outbound_plain(proxy: &impl Attributes, token: Option<u32>) -> Option<(RequestFacts<'_>, bool)> {
    let list = pairs::list::<{ name::COMMON + 1 }>(proxy.evaluate(token?)?)?;
    let [facts @ .., tls] = list;
    Some((common(facts)?, tls == [1]))
}

#[inline]
fn common(facts: [&[u8]; name::COMMON]) -> Option<RequestFacts<'_>> {
    let [
        response_code,
        flags,
        duration,
        request_size,
        response_size,
        cluster,
        route,
        connection,
    ] = facts;
    Some(RequestFacts {
        response_code: code(integer(response_code)?),
        response_flags: integer(flags)?.cast_unsigned(),
        duration: Some(size(integer(duration)?)),
        request_bytes: size(integer(request_size)?),
        response_bytes: size(integer(response_size)?),
        cluster,
        route,
        connection: Some(integer(connection)?.cast_unsigned()),
        upstream: Principals::default(),
    })
}

#[inline]
fn code(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A size or a duration: never negative, whatever the clock did.
#[inline]
fn size(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    const CLIENT: &[u8] = b"spiffe://td/ns/shop/sa/cart";
    const SERVER: &[u8] = b"spiffe://td/ns/test/sa/podinfo";

    /// A proxy that knows some attributes by path, and what it was asked.
    #[derive(Default)]
    pub(super) struct Proxy {
        pub(super) attributes: BTreeMap<&'static str, Vec<u8>>,
        /// What each expression evaluates to.
        pub(super) lists: BTreeMap<&'static str, Vec<u8>>,
        pub(super) created: RefCell<Vec<String>>,
        pub(super) deleted: RefCell<Vec<u32>>,
        evaluated: Cell<usize>,
    }

    impl Attributes for Proxy {
        fn attribute(&self, path: &str) -> Option<&[u8]> {
            self.attributes.get(path).map(Vec::as_slice)
        }

        fn create(&self, expression: &str) -> Option<u32> {
            let mut created = self.created.borrow_mut();
            created.push(expression.into());
            u32::try_from(created.len() - 1).ok()
        }

        fn evaluate(&self, token: u32) -> Option<&[u8]> {
            self.evaluated.set(self.evaluated.get() + 1);
            let created = self.created.borrow();
            self.lists.get(&*created[token as usize]).map(Vec::as_slice)
        }

        fn delete(&self, token: u32) {
            self.deleted.borrow_mut().push(token);
        }
    }

    fn integer(value: i64) -> Vec<u8> {
        value.to_ne_bytes().to_vec()
    }

    fn list(more: &[&[u8]]) -> Vec<u8> {
        let mut elements: Vec<Vec<u8>> = [503, 4, 4_200_000, 300, 500].map(integer).to_vec();
        elements.extend([b"cluster".to_vec(), b"default".to_vec(), integer(7)]);
        elements.extend(more.iter().map(|element| element.to_vec()));
        pairs::encode::encode(elements.iter().map(|element| (&**element, &b""[..])))
    }

    #[test]
    fn an_inbound_request_is_one_evaluation() {
        let mut proxy = Proxy::default();
        proxy.lists.insert(name::INBOUND, list(&[]));
        let queries = FactQueries::default();
        for _ in 0..2 {
            let facts = queries.finished(&proxy, End::Downstream);
            assert_eq!((facts.response_code, facts.response_flags), (503, 4));
            assert_eq!(facts.duration, Some(4_200_000));
            assert_eq!((facts.request_bytes, facts.response_bytes), (300, 500));
            assert_eq!(
                (facts.cluster, facts.route),
                (&b"cluster"[..], &b"default"[..])
            );
            assert_eq!(facts.connection, Some(7));
        }
        assert_eq!(proxy.evaluated.get(), 2);
        assert_eq!(*proxy.created.borrow(), [name::INBOUND]);
    }

    #[test]
    fn what_an_expression_fails_on_is_asked_for_one_by_one() {
        let mut proxy = Proxy::default();
        proxy.attributes.insert(name::RESPONSE_CODE, integer(404));
        proxy
            .attributes
            .insert(name::RESPONSE_FLAGS, integer(1 << 8));
        proxy.attributes.insert(name::DURATION, integer(-1));
        proxy.attributes.insert(name::CONNECTION_ID, integer(7));
        let facts = FactQueries::default().finished(&proxy, End::Downstream);
        assert_eq!((facts.response_code, facts.response_flags), (404, 1 << 8));
        assert_eq!((facts.duration, facts.connection), (Some(0), Some(7)));
        assert_eq!((facts.cluster, facts.route), (&b""[..], &b""[..]));
        assert_eq!(facts.request_bytes, 0);
    }

    #[test]
    fn a_request_of_which_nothing_is_known_has_empty_facts() {
        for end in [End::Downstream, End::Upstream] {
            let proxy = Proxy::default();
            let facts = FactQueries::default().finished(&proxy, end);
            assert_eq!((facts.response_code, facts.duration), (0, None));
        }
    }

    #[test]
    fn the_outbound_query_follows_the_upstream_from_plaintext_to_tls_and_back() {
        let mut proxy = Proxy::default();
        let queries = FactQueries::default();
        let ask = |proxy: &Proxy, evaluations: usize| {
            let before = proxy.evaluated.get();
            let facts = queries.finished(proxy, End::Upstream);
            assert_eq!(proxy.evaluated.get() - before, evaluations);
            (facts.upstream.peer.to_vec(), facts.upstream.local.to_vec())
        };
        let mtls = |proxy: &mut Proxy| {
            proxy.lists.insert(name::OUTBOUND_PLAIN, list(&[&[1]]));
            proxy
                .lists
                .insert(name::OUTBOUND_MTLS, list(&[SERVER, CLIENT]));
            proxy
                .attributes
                .insert(name::UPSTREAM_PEER_SAN, SERVER.into());
            proxy
                .attributes
                .insert(name::UPSTREAM_LOCAL_SAN, CLIENT.into());
        };
        let ids = (SERVER.to_vec(), CLIENT.to_vec());
        mtls(&mut proxy);
        assert_eq!(ask(&proxy, 1), ids, "asked for since the upstream has TLS");
        assert_eq!(ask(&proxy, 1), ids, "asked for with the facts");

        proxy.lists.remove(name::OUTBOUND_MTLS);
        proxy.lists.insert(name::OUTBOUND_PLAIN, list(&[&[0]]));
        assert_eq!(ask(&proxy, 2), (Vec::new(), Vec::new()));
        assert_eq!(ask(&proxy, 1), (Vec::new(), Vec::new()));

        mtls(&mut proxy);
        assert_eq!(ask(&proxy, 1), ids);
    }

    #[test]
    fn what_was_compiled_is_given_back() {
        let proxy = Proxy::default();
        let queries = FactQueries::default();
        queries.finished(&proxy, End::Downstream);
        queries.finished(&proxy, End::Upstream);
        queries.release(&proxy);
        assert_eq!(proxy.deleted.borrow().len(), proxy.created.borrow().len());
        FactQueries::default().release(&proxy);
        assert_eq!(
            proxy.created.borrow().len(),
            2,
            "nothing was compiled for it"
        );
    }

    #[test]
    fn broken_lists_are_no_facts() {
        let mut proxy = Proxy::default();
        let whole = list(&[]);
        for end in 0..whole.len() {
            proxy.lists.insert(name::INBOUND, whole[..end].to_vec());
            let facts = FactQueries::default().finished(&proxy, End::Downstream);
            assert_eq!(facts.response_code, 0);
        }
    }
}
