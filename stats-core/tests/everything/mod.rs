//! A registry with everything that a page can have.

use std::time::Duration;

use stats_core::label_set;
use stats_core::registry::{
    Buckets, Clock, CounterWithExemplar, Exemplar, Family, HistogramWithExemplars, Registry,
    RegistryError, Samples,
};

label_set! {
    /// Who it is about.
    #[derive(Clone, Copy)]
    pub struct Client<'a> {
        /// Its name.
        pub client: &'a str,
    }
}

/// A clock that stands still.
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Duration {
        Duration::from_millis(1_700_000_000_250)
    }
}

/// Fills the registry.
pub fn fill(registry: &Registry) -> Result<(), RegistryError> {
    let cpu =
        Family::<Client, CounterWithExemplar<f64>>::builder("cpu_seconds_total", "CPU \"time\".");
    let counter = cpu.unit("seconds").register(registry)?;
    let exemplar = Exemplar::new(&[("trace_id", "abc")])?;
    let counter = counter.get_or_create(&Client { client: "a" });
    counter.inc();
    counter.inc_by_with(0.5, exemplar.clone().at(Duration::from_millis(1500)));
    let seconds = Family::<(), HistogramWithExemplars>::builder("request_seconds", "Requests.")
        .buckets(Buckets::exponential(0.5, 2.0, 2))
        .register(registry)?;
    seconds.get_or_create(&()).observe_with(0.75, exemplar);
    registry.info("build", "The build.", &[("version", "1.2.3")])?;
    registry.collect_gauge(
        "queue_length",
        "Waiting.",
        |samples: &mut Samples<Client, f64>| {
            samples.push(&Client { client: "a" }, 0.25);
            samples.push(&Client { client: "b" }, f64::INFINITY);
        },
    )?;
    let change = registry.histogram("change", "Ups and downs.", &[], &[-1.0, 1.0])?;
    change.observe(-2.0);
    Ok(())
}
