//! Real Envoys for tests, demo and benchmark.
//!
//! [`Mesh`] is the usual start: a client's outbound sidecar, a server's inbound sidecar and an application, as two
//! Envoy processes with Istio-like node metadata and mutual TLS between them.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let mesh = harness::Mesh::builder().start().await?;
//! mesh.get("/version").await?;
//! let page = mesh.inbound.page_after(1).await?;
//! assert_eq!(page.sum("istio_requests_total", &[("reporter", "destination")]), 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! Each piece also works alone: [`SidecarBuilder`] for one Envoy, [`App`], [`TcpApp`], [`Client`], [`Page`], [`certs`].
//! Every process, task and directory is removed when the value that started it is dropped.

pub mod app;
mod body;
pub mod certs;
pub mod client;
pub mod direction;
pub mod envoy;
pub mod envoy_config;
pub mod golden;
pub mod install;
pub mod mesh;
mod module_host;
pub mod node;
pub mod page;
pub mod sidecar;
pub mod tcp_app;
mod wait;

pub use app::App;
pub use client::{Client, GrpcCall, Response};
pub use direction::SidecarDirection;
pub use envoy::Envoy;
pub use install::ENVOY_VERSIONS;
pub use mesh::{Mesh, MeshBuilder};
pub use module_host::ModuleHost;
pub use node::ProxyNode;
pub use page::Page;
pub use sidecar::{Roles, Sidecar, SidecarBuilder, Upstream};
pub use tcp_app::TcpApp;
pub use wait::eventually;
