//! This proxy, as all plugins know it: found out once, when the module is loaded.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use stats_core::host::{LocalProxy, envoy};
use stats_core::labels::service::NamedService;

use crate::bootstrap::Bootstrap;

/// What does not change while the proxy runs.
pub struct ThisProxy {
    /// The proxy, as the core wants it described.
    pub local: LocalProxy,
    /// The services of the bootstrap's clusters, by cluster.
    pub services: HashMap<String, NamedService>,
}

/// The proxy that has loaded this module.
pub fn this() -> &'static ThisProxy {
    static PROXY: OnceLock<ThisProxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        let Bootstrap { node, services } = Bootstrap::of_this_process().unwrap_or_else(|problem| {
            log::error!("this proxy's own labels are unknown: {problem}");
            Bootstrap::default()
        });
        ThisProxy {
            local: envoy::local_proxy_of(node, random()),
            services,
        }
    })
}

/// From the operating system, by way of std's own hash tables.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    for half in bytes.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
    }
    bytes
}
