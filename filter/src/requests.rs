//! The state of each open request, by its context. What is counted of them is decided in
//! [`stats_core::http`].

use hashbrown::HashTable;
use stats_core::http::request::Request;

/// Requests that are open.
pub struct OpenRequests(HashTable<OpenRequest>);

/// A request between its callbacks.
pub struct OpenRequest {
    /// Its context.
    pub context: u32,
    /// The context of its plugin.
    pub root: u32,
    /// What is kept of it.
    pub request: Request,
}

/// Contexts are numbered one after the other by the proxy, so that a multiplication sets them apart.
pub fn hash(context: u32) -> u64 {
    u64::from(context).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl OpenRequests {
    /// None.
    pub const fn new() -> Self {
        Self(HashTable::new())
    }

    /// A request has begun.
    pub fn begin(&mut self, context: u32, root: u32) {
        let request = OpenRequest {
            context,
            root,
            request: Request::default(),
        };
        self.0
            .insert_unique(hash(context), request, |open| hash(open.context));
    }

    /// The request of a context, if it is one's.
    #[inline]
    pub fn find(&mut self, context: u32) -> Option<&mut OpenRequest> {
        self.0
            .find_mut(hash(context), |open| open.context == context)
    }

    /// A request has ended; its plugin's root context, if it was one.
    #[inline]
    pub fn end(&mut self, context: u32) -> Option<u32> {
        let open = self
            .0
            .find_entry(hash(context), |open| open.context == context);
        open.ok().map(|open| open.remove().0.root)
    }

    /// The requests of a plugin.
    pub fn of(&mut self, root: u32) -> impl Iterator<Item = &mut Request> {
        let open = self.0.iter_mut().filter(move |open| open.root == root);
        open.map(|open| &mut open.request)
    }

    /// The contexts of a plugin's requests.
    pub fn contexts(&self, root: u32) -> impl Iterator<Item = u32> {
        let open = self.0.iter().filter(move |open| open.root == root);
        open.map(|open| open.context)
    }

    /// All requests of a plugin are gone.
    pub fn end_all(&mut self, root: u32) {
        self.0.retain(|open| open.root != root);
    }
}
