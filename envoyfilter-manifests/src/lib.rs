//! Brings the module into a mesh, configures what reads its metrics, and says what is wrong.
//!
//! | command | module |
//! |---|---|
//! | `mixerless manifests` | [`manifests`]: from [`settings`] over a checked [`installation`] to a [`bundle`] of files |
//! | `mixerless push` | [`push`]: the module as an OCI image |
//! | `mixerless check` | [`check`]: a live `/stats/prometheus`, read with a doctor's eye |
//!
//! What the module itself does is not here: labels, metric names and tag rules come from `stats-core`.

pub mod bundle;
pub mod check;
pub mod installation;
pub mod istio;
pub mod istio_version;
pub mod manifests;
pub mod module_source;
pub mod plugin_config;
pub mod proxy;
pub mod push;
pub mod readers;
pub mod settings;

mod envoy_gateway;

/// TLS by ring, for the process: whoever set up another before keeps it.
fn use_ring() {
    // Fails only where that has been done.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
