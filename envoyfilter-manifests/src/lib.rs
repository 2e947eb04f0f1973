//! Attaches the module to a mesh, configures the readers of its metrics, and finds faults.
//!
//! | command | module |
//! |---|---|
//! | `mixerless manifests` | [`manifests`]: from [`settings`] over a checked [`installation`] to a [`bundle`] of files, written by [`output`], or a Helm [`chart`] |
//! | `mixerless push` | [`push`]: the [`module`] as an OCI image |
//! | `mixerless module` | [`module`]: the module that is inside, as a file |
//! | `mixerless check` | [`check`]: the faults of live proxies |
//! | `mixerless view` | [`view`]: who calls whom, as a page or a picture |
//!
//! Not here: what the module does. Labels, metric names and tag rules come from `stats-core`.

pub mod bundle;
pub mod chart;
pub mod check;
pub mod help_files;
pub mod installation;
pub mod istio;
pub mod istio_version;
pub mod manifests;
pub mod module;
pub mod module_source;
pub mod output;
pub mod plugin_config;
pub mod proxy;
pub mod push;
pub mod readers;
pub mod settings;
pub mod view;
pub mod warnings;

mod attributes;
mod envoy_gateway;
mod expressions;
mod scrape;
mod tls;
mod values;
