//! One Envoy with a listener for each variant, ten copies of it in the listener's chain, and another
//! Envoy behind it that answers. Measures CPU time of the first: of all its threads, so that work
//! in threads other than workers counts too.
//!
//! Not here: what the variants are, and what is made of their costs.

pub(super) mod setup;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::install::native_module_directory;
use harness::{Envoy, Page};

use self::setup::{UPSTREAM, listener_name, options, upstream};
use super::load::{Clients, RequestVariety};
use super::variant::{COUNTERS, Variant};
use crate::report;

pub use self::setup::{COPIES, TestbedSetup};

/// Rounds before those that count: Envoy, V8 and the kernel settle.
const WARM_UP_ROUNDS: u32 = 3;
/// Connections to each listener.
const CONNECTIONS: usize = 4;
/// Long enough for what Envoy does after the response is sent.
const SETTLE: Duration = Duration::from_millis(3);

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Testbeds, one after the other: the memory layout makes one Envoy faster than the next for as
    /// long as it runs.
    pub envoys: u32,
    /// Rounds; in each, every variant has one burst.
    pub rounds: u32,
    /// Requests in a burst.
    pub burst: u32,
}

/// What each variant costs by its name: microseconds of CPU time per request and copy.
pub type Costs = BTreeMap<String, f64>;

/// The Envoys at work.
#[derive(Debug)]
pub struct Testbed {
    envoy: Envoy,
    _upstream: Envoy,
    variants: Vec<Variant>,
    listeners: Vec<Clients>,
    copies: u32,
}

impl Testbed {
    /// Starts the Envoys and connects to the listeners.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(setup: &TestbedSetup, variants: &[Variant]) -> Result<Self> {
        let upstream = Envoy::start(&upstream(), &options()).await?;
        let upstream_address = upstream.listener(UPSTREAM).await?;
        let bootstrap = setup.bootstrap(variants, upstream_address);
        let mut options = options();
        if variants.iter().any(|variant| variant.metrics_of.is_some()) {
            options.modules = Some(native_module_directory()?);
        }
        let envoy = Envoy::start(&bootstrap, &options).await?;
        let mut listeners = Vec::new();
        for nth in 0..variants.len() {
            let address = envoy.listener(&listener_name(nth)).await?;
            listeners.push(Clients::connect(address, CONNECTIONS).await?);
        }
        Ok(Self {
            envoy,
            _upstream: upstream,
            variants: variants.to_vec(),
            listeners,
            copies: setup.copies,
        })
    }

    /// The measured Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The connections to a variant's listener.
    ///
    /// # Errors
    /// When there are not so many variants.
    pub fn clients(&mut self, variant: usize) -> Result<&mut Clients> {
        self.listeners
            .get_mut(variant)
            .context("a variant of this testbed")
    }

    /// What each variant costs: the lower quartile of its bursts without that of its baseline's.
    /// Other load on the machine only ever makes a burst more expensive.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn costs(&mut self, requests: &RequestVariety, effort: Effort) -> Result<Costs> {
        let mut bursts = vec![Vec::new(); self.variants.len()];
        for round in 0..WARM_UP_ROUNDS + effort.rounds {
            let mut order: Vec<usize> = (0..self.variants.len()).collect();
            fastrand::shuffle(&mut order);
            for variant in order {
                let burst = self.burst(variant, requests, effort.burst).await?;
                if round >= WARM_UP_ROUNDS {
                    bursts[variant].push(burst);
                }
            }
        }
        let names = self.variants.iter().map(|variant| &*variant.name);
        let quartiles = bursts.iter().map(|bursts| report::lower_quartile(bursts));
        let whole: BTreeMap<&str, f64> = names.zip(quartiles).collect();
        let cost = |variant: &Variant| {
            let without = whole.get(variant.without?)?;
            let cost = (whole.get(&*variant.name)? - without) / f64::from(self.copies);
            Some((variant.name.clone(), cost))
        };
        Ok(self.variants.iter().filter_map(cost).collect())
    }

    /// Envoy's CPU time per request of a burst through a variant's chain, in microseconds.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn burst(
        &mut self,
        variant: usize,
        requests: &RequestVariety,
        count: u32,
    ) -> Result<f64> {
        tokio::time::sleep(SETTLE).await;
        let before = cpu_time(self.envoy.pid())?;
        self.clients(variant)?.burst(requests, count).await?;
        tokio::time::sleep(SETTLE).await;
        let spent = cpu_time(self.envoy.pid())?.saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e6 / f64::from(count))
    }

    /// Fails unless every request was counted by every copy that is to count it: a module that has
    /// failed lets requests pass, and must not be taken for a cheap one.
    ///
    /// # Errors
    /// When a counter is not what it should be, or Envoy has logged an error of a module.
    pub async fn check(&self) -> Result<()> {
        let log = self.envoy.log()?;
        let error = log
            .lines()
            .find(|line| line.contains("][error][wasm]") || line.contains("][critical][wasm]"));
        ensure!(error.is_none(), "{}", error.unwrap_or_default());
        // With thousands of label sets, the histograms are hundreds of megabytes.
        let path = "/stats/prometheus?usedonly&filter=(requests_total|bench_probe_total)";
        let page = Page::parse(&self.envoy.admin_get(path).await?.text())?;
        for counter in COUNTERS {
            let sent = |of: &dyn Fn(&Variant) -> bool| -> u32 {
                let variants = self.variants.iter().zip(&self.listeners);
                let of = variants.filter(|(variant, _)| of(variant));
                of.map(|(_, clients)| clients.sent() * self.copies).sum()
            };
            let expected = sent(&|variant| variant.counter == Some(counter));
            // Another module may count under the same name, or not at all.
            let more = sent(&|variant| variant.without.is_some() && variant.counter.is_none());
            let found = sum(&page, counter);
            ensure!(
                (f64::from(expected)..=f64::from(expected + more)).contains(&found),
                "{counter} is {found}, and {expected} requests were to be counted"
            );
        }
        Ok(())
    }
}

/// Without rules the labels are in the name too.
fn sum(page: &Page, counter: &str) -> f64 {
    let samples = page.families.values().flat_map(|family| &family.samples);
    let of_counter = samples.filter(|sample| sample.name.contains(counter));
    of_counter.map(|sample| sample.value).sum()
}

/// CPU time of a process so far, from the scheduler's own books: exact to the nanosecond, where
/// `/proc/PID/stat` counts in hundredths of a second.
///
/// # Errors
/// When the process is gone or the kernel keeps no such books.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        let books = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let on_cpu = books.split(' ').next().unwrap_or_default();
        total += Duration::from_nanos(on_cpu.parse().with_context(|| books.clone())?);
    }
    Ok(total)
}
