//! The functions that Envoy calls about the cluster that holds the metrics. Each worker has a balancer of
//! that cluster, and while it has one, the cluster and its metrics are there.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use crate::abi::metrics::MetricScope;
use crate::abi::{EnvoyApi, EnvoyBuffer, bytes};
use crate::guard;
use crate::store::MetricStore;
use crate::worker::Worker;

/// A metrics cluster and its configuration, as Envoy holds them; `None` for one that cannot be used.
type HeldStore = Option<Arc<MetricStore>>;

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_config_new(
    envoy: *mut c_void,
    _name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> *const HeldStore {
    // SAFETY: Envoy keeps it during the call.
    let config = unsafe { bytes(config) };
    let held = guard::run("cluster_config_new", || {
        // SAFETY: a store is closed on each thread before its configuration is gone: see `lb_destroy`.
        let scope = unsafe { MetricScope::new(EnvoyApi::find().ok()?, envoy) };
        match MetricStore::define(scope, config) {
            Ok(store) => Some(Arc::new(store)),
            Err(error) => {
                log::error!("the metrics cluster holds no metrics, so nothing is counted: {error}");
                None
            }
        }
    });
    Box::into_raw(Box::new(held.flatten()))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_config_destroy(config: *mut HeldStore) {
    guard::run("cluster_config_destroy", || {
        // SAFETY: made by `config_new`, and given back by Envoy once.
        drop(unsafe { Box::from_raw(config) });
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_new(
    config: *const HeldStore,
    _envoy: *mut c_void,
) -> *const HeldStore {
    // SAFETY: made by `config_new`, and there as long as the cluster.
    let store = unsafe { config.as_ref() }.cloned().flatten();
    Box::into_raw(Box::new(store))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_init(envoy: *mut c_void, _cluster: *mut c_void) {
    // Not guarded, for there is nothing of ours in it; and Envoy does not start without.
    if let Ok(api) = EnvoyApi::find() {
        // SAFETY: the cluster that Envoy initializes.
        unsafe { api.cluster_is_ready(envoy) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_destroy(cluster: *mut HeldStore) {
    guard::run("cluster_destroy", || {
        // SAFETY: made by `cluster_new`, and given back by Envoy once.
        drop(unsafe { Box::from_raw(cluster) });
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_lb_new(
    cluster: *const HeldStore,
    _balancer: *mut c_void,
) -> *const HeldStore {
    // SAFETY: made by `cluster_new`; a balancer keeps its cluster.
    let store = unsafe { cluster.as_ref() }.cloned().flatten();
    let held = guard::run("cluster_lb_new", || {
        let store = store?;
        Worker::enter(|worker| worker.open_store(Arc::clone(&store)));
        Some(store)
    });
    Box::into_raw(Box::new(held.flatten()))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_lb_destroy(balancer: *mut HeldStore) {
    // SAFETY: made by `lb_new`, and given back by Envoy once.
    let held = unsafe { Box::from_raw(balancer) };
    let Some(store) = *held else {
        return;
    };
    let closed = guard::run("cluster_lb_destroy", || {
        Worker::enter(|worker| worker.close_store(store.id))
    });
    if closed.is_none() {
        // The series of this store must not be touched again, and something may still have them.
        guard::give_up();
    }
}

/// Nothing is routed to the metrics cluster.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_lb_choose_host(
    _balancer: *mut c_void,
    _context: *mut c_void,
    host: *mut *mut c_void,
    pending: *mut *mut c_void,
) {
    // SAFETY: both are Envoy's locals.
    unsafe {
        *host = ptr::null_mut();
        *pending = ptr::null_mut();
    }
}
