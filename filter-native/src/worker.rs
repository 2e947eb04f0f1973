//! What one thread of Envoy has: a plugin for each configuration that it has seen requests of, the
//! cluster that holds its metrics, and room for requests that is used again. No other thread touches
//! any of it, so that a request waits for nobody.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use stats_core::http::Plugin;
use stats_core::http::request::Request;

use crate::abi::clock;
use crate::abi::stream::Stream;
use crate::filter::FilterConfig;
use crate::host::EnvoyHost;
use crate::proxy;
use crate::series::SeriesTable;
use crate::store::MetricStore;

/// Room that is kept for requests to come.
const SPARE_REQUESTS: usize = 1_000;

/// The state of one thread.
#[derive(Default)]
pub struct Worker {
    /// The clusters that hold metrics, the one in use last.
    stores: Vec<Arc<MetricStore>>,
    plugins: Vec<Rc<WorkerPlugin>>,
    #[expect(clippy::vec_box, reason = "Envoy holds their addresses")]
    spare: Vec<Box<OpenStream>>,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// A plugin on this thread.
pub struct WorkerPlugin {
    /// Its configuration, which all threads share.
    pub config: Arc<FilterConfig>,
    loaded: RefCell<LoadedPlugin>,
}

/// A plugin and what goes with it.
struct LoadedPlugin {
    plugin: Plugin,
    series: SeriesTable,
    next_tick: Duration,
    /// How often it was time to report what grows.
    reports: u32,
}

/// A request between its callbacks.
#[derive(Default)]
pub struct OpenStream {
    plugin: Option<Rc<WorkerPlugin>>,
    request: Request,
    /// Which of the plugin's reports has this request's part.
    reported: u32,
}

impl Worker {
    /// This thread's state. No hook interrupts another, so it is always free; if it were not, the hook
    /// would be skipped.
    pub fn enter<T>(body: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let entered = WORKER.try_with(|worker| Some(body(&mut *worker.try_borrow_mut().ok()?)));
        entered.ok().flatten()
    }

    /// A request begins. `None` where there is no plugin for it.
    pub fn begin(&mut self, config: &Arc<FilterConfig>, stream: Stream) -> Option<Box<OpenStream>> {
        let known = self
            .plugins
            .iter()
            .find(|known| Arc::ptr_eq(&known.config, config));
        let plugin = match known {
            Some(plugin) => Rc::clone(plugin),
            None => self.load(config, stream)?,
        };
        let reported = plugin.tick()?;
        let mut open = self.spare.pop().unwrap_or_default();
        *open = OpenStream {
            plugin: Some(plugin),
            request: Request::default(),
            reported,
        };
        Some(open)
    }

    /// A request is gone.
    pub fn end(&mut self, mut open: Box<OpenStream>) {
        open.plugin = None;
        if self.spare.len() < SPARE_REQUESTS {
            self.spare.push(open);
        }
    }

    /// Makes the plugin of a configuration on this thread.
    #[cold]
    pub fn load(&mut self, config: &Arc<FilterConfig>, stream: Stream) -> Option<Rc<WorkerPlugin>> {
        self.plugins.retain(|known| known.config.is_in_use());
        let mut series = SeriesTable::default();
        series.use_store(self.stores.last().cloned());
        let mut host = EnvoyHost {
            stream,
            series: &mut series,
        };
        let local = proxy::this().local.clone();
        let plugin = match Plugin::configure(&mut host, config.role, local, &config.text) {
            Ok(plugin) => plugin,
            Err(error) => {
                log::error!("{error}");
                return None;
            }
        };
        let loaded = LoadedPlugin {
            next_tick: clock::coarse() + plugin.tick(),
            plugin,
            series,
            reports: 0,
        };
        let plugin = Rc::new(WorkerPlugin {
            config: Arc::clone(config),
            loaded: RefCell::new(loaded),
        });
        self.plugins.push(Rc::clone(&plugin));
        Some(plugin)
    }

    /// Records in this store from now on.
    pub fn open_store(&mut self, store: Arc<MetricStore>) {
        self.stores.push(store);
        self.use_last_store();
    }

    /// A store is about to be gone, and all of its series with it.
    pub fn close_store(&mut self, id: u64) {
        let was_in_use = self.stores.last().is_some_and(|store| store.id == id);
        self.stores.retain(|store| store.id != id);
        if was_in_use {
            self.use_last_store();
        }
    }

    fn use_last_store(&mut self) {
        for plugin in &self.plugins {
            if let Ok(mut loaded) = plugin.loaded.try_borrow_mut() {
                loaded.series.use_store(self.stores.last().cloned());
            }
        }
    }
}

impl WorkerPlugin {
    /// Lets the plugin do what comes with time, if it is time: a worker has no timer of ours, and without a
    /// request there is nothing to be done. How often it was time to report.
    #[inline]
    fn tick(&self) -> Option<u32> {
        let mut loaded = self.loaded.try_borrow_mut().ok()?;
        let now = clock::coarse();
        if loaded.next_tick <= now {
            let reports = loaded.plugin.on_tick();
            loaded.reports = loaded.reports.wrapping_add(u32::from(reports));
            loaded.next_tick = now + loaded.plugin.tick();
        }
        Some(loaded.reports)
    }
}

impl OpenStream {
    /// Does something with the request, its plugin and their host, unless the plugin is broken.
    #[inline]
    pub fn with(
        &mut self,
        hook: &'static str,
        stream: Stream,
        callback: impl FnOnce(&mut Plugin, &mut EnvoyHost<'_>, &mut Request),
    ) {
        let Self {
            plugin: Some(plugin),
            request,
            ..
        } = self
        else {
            return;
        };
        plugin.config.broken.run(hook, || {
            if let Ok(mut loaded) = plugin.loaded.try_borrow_mut() {
                let LoadedPlugin { plugin, series, .. } = &mut *loaded;
                callback(plugin, &mut EnvoyHost { stream, series }, request);
            }
        });
    }

    /// Reports what grows with the request, where it is time to.
    #[inline]
    pub fn report(&mut self, hook: &'static str, stream: Stream) {
        let Some(plugin) = &self.plugin else {
            return;
        };
        let reports = plugin.config.broken.run(hook, || plugin.tick()).flatten();
        if let Some(reports) = reports
            && reports != self.reported
        {
            self.reported = reports;
            self.with(hook, stream, |plugin, host, request| {
                plugin.on_report(host, request);
            });
        }
    }
}
