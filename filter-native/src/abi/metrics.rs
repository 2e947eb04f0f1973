//! Metrics that a cluster of Envoy's holds.

use std::ffi::c_void;
use std::ptr;

use stats_core::host::MetricKind;

use super::callbacks::{Callbacks, SUCCESS};
use super::{EnvoyApi, buffer};

/// The configuration of the cluster that holds metrics, as Envoy knows it. It and all of its series are
/// gone with the cluster.
pub struct MetricScope {
    callbacks: &'static Callbacks,
    config: *mut c_void,
}

// SAFETY: Envoy looks series up under its own locks, and the pointer is only handed back to it.
unsafe impl Send for MetricScope {}
// SAFETY: as above.
unsafe impl Sync for MetricScope {}

/// A series that Envoy holds, in the [`MetricScope`] that it was found in, and no longer than that.
#[derive(Clone, Copy)]
pub struct SeriesHandle(*mut c_void);

impl MetricScope {
    /// The metrics of a cluster.
    ///
    /// # Safety
    /// The configuration must be there as long as this and all handles of it are used.
    pub unsafe fn new(envoy: EnvoyApi, config: *mut c_void) -> Self {
        Self {
            callbacks: envoy.callbacks,
            config,
        }
    }

    /// Defines a metric; its number. `None` where Envoy refuses it.
    pub fn define(&self, kind: MetricKind, name: &str, labels: &[String]) -> Option<usize> {
        let define = match kind {
            MetricKind::Counter => self.callbacks.cluster_config_define_counter,
            MetricKind::Gauge => self.callbacks.cluster_config_define_gauge,
            MetricKind::Histogram => self.callbacks.cluster_config_define_histogram,
        };
        let name = buffer(name.as_bytes());
        let labels: Vec<_> = labels
            .iter()
            .map(|label| buffer(label.as_bytes()))
            .collect();
        let mut number = 0;
        // SAFETY: all buffers are valid for the call, and the number is a local.
        let result = unsafe {
            define(
                self.config,
                name,
                labels.as_ptr(),
                labels.len(),
                &raw mut number,
            )
        };
        (result == SUCCESS).then_some(number)
    }

    /// The series of a metric with these values, in the order of its labels. `None` where Envoy
    /// refuses it.
    pub fn resolve(
        &self,
        kind: MetricKind,
        metric: usize,
        values: &[Box<str>],
    ) -> Option<SeriesHandle> {
        let resolve = match kind {
            MetricKind::Counter => self.callbacks.cluster_config_resolve_counter_vec,
            MetricKind::Gauge => self.callbacks.cluster_config_resolve_gauge_vec,
            MetricKind::Histogram => self.callbacks.cluster_config_resolve_histogram_vec,
        };
        let values: Vec<_> = values
            .iter()
            .map(|value| buffer(value.as_bytes()))
            .collect();
        let mut handle = ptr::null_mut();
        // SAFETY: all buffers are valid for the call, and the handle is a local.
        let result = unsafe {
            resolve(
                self.config,
                metric,
                values.as_ptr(),
                values.len(),
                &raw mut handle,
            )
        };
        (result == SUCCESS && !handle.is_null()).then_some(SeriesHandle(handle))
    }

    /// Adds to a counter of this scope.
    #[inline]
    pub fn add(&self, counter: SeriesHandle, by: u64) {
        // SAFETY: the handle is of this scope, which is there.
        unsafe { (self.callbacks.cluster_metric_counter_add)(counter.0, by) };
    }

    /// Observes a value in a histogram of this scope.
    #[inline]
    pub fn observe(&self, histogram: SeriesHandle, value: u64) {
        // SAFETY: as above.
        unsafe { (self.callbacks.cluster_metric_histogram_record)(histogram.0, value) };
    }

    /// Sets a gauge of this scope.
    pub fn gauge_set(&self, gauge: SeriesHandle, value: u64) {
        // SAFETY: as above.
        unsafe { (self.callbacks.cluster_metric_gauge_set)(gauge.0, value) };
    }

    /// Changes a gauge of this scope.
    pub fn gauge_add(&self, gauge: SeriesHandle, by: i64) {
        let change = match by {
            ..0 => self.callbacks.cluster_metric_gauge_sub,
            0.. => self.callbacks.cluster_metric_gauge_add,
        };
        // SAFETY: as above.
        unsafe { change(gauge.0, by.unsigned_abs()) };
    }
}
