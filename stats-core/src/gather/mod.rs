//! Asking the host: what HTTP and TCP both need to know of a peer, a cluster and a connection. Each is
//! asked for once and remembered; what is remembered is bounded. What else HTTP asks is in
//! `http::gather`.

pub mod clusters;
pub mod connections;
pub mod peers;
