//! The functions that Envoy calls about the cluster that holds the metrics. Each worker has a balancer of
//! that cluster, and while it has one, the cluster and its metrics are there.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use crate::abi::metrics::{MetricScope, WorkerTimer};
use crate::abi::{EnvoyApi, EnvoyBuffer, bytes};
use crate::guard;
use crate::store::MetricStore;
use crate::worker::Worker;

/// A metrics cluster and its configuration, as Envoy holds them; `None` for one that cannot be used.
type HeldStore = Option<Arc<MetricStore>>;

/// The metrics cluster on one worker.
struct HeldBalancer {
    store: Arc<MetricStore>,
    timer: Option<WorkerTimer>,
}

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
    guard::run("cluster_init", || {
        if let Ok(api) = EnvoyApi::find() {
            // SAFETY: the cluster that Envoy initializes.
            unsafe { api.cluster_is_ready(envoy) };
        }
    });
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
    balancer: *mut c_void,
) -> *mut Option<HeldBalancer> {
    let held = guard::run("cluster_lb_new", || {
        // SAFETY: made by `cluster_new`; a balancer keeps its cluster.
        let store = unsafe { cluster.as_ref() }?.as_ref()?;
        Worker::enter(|worker| worker.open_store(Arc::clone(store)));
        // SAFETY: the balancer that is being made, on its own thread; it is gone after `lb_destroy`.
        let timer = unsafe { WorkerTimer::new(EnvoyApi::find().ok()?, balancer) };
        let held = HeldBalancer {
            store: Arc::clone(store),
            timer,
        };
        held.schedule();
        Some(held)
    });
    Box::into_raw(Box::new(held.flatten()))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_lb_destroy(balancer: *mut Option<HeldBalancer>) {
    guard::run("cluster_lb_destroy", || {
        // SAFETY: made by `lb_new`, and given back by Envoy once.
        if let Some(held) = *unsafe { Box::from_raw(balancer) } {
            Worker::enter(|worker| worker.close_store(held.store.id));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_cluster_worker_timer_fired(
    _envoy: *mut c_void,
    balancer: *mut Option<HeldBalancer>,
) {
    guard::run("cluster_worker_timer_fired", || {
        // SAFETY: made by `lb_new`, and there until `lb_destroy`.
        if let Some(held) = unsafe { balancer.as_ref() }.and_then(Option::as_ref) {
            held.schedule();
        }
    });
}

impl HeldBalancer {
    /// Does what comes with time on this worker, and has the timer fire when there is more to do.
    fn schedule(&self) {
        if let (Some(timer), Some(period)) = (&self.timer, Worker::enter(Worker::tick)) {
            timer.fire_after(period);
        }
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
