//! The series of one plugin on one worker: by number, with what is needed to find each again in another
//! [`MetricStore`] after an update of its cluster.

use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use stats_core::host::{FamilyId, MetricKind, SeriesId};
use stats_core::http::families::PlannedFamily;

use crate::abi::metrics::SeriesHandle;
use crate::store::MetricStore;

/// All series of one plugin on one worker.
#[derive(Default)]
pub struct SeriesTable {
    store: Option<Arc<MetricStore>>,
    families: Vec<KnownFamily>,
    series: Vec<KnownSeries>,
}

struct KnownFamily {
    family: PlannedFamily,
    /// Its number in the store; `None` where that has not defined it.
    metric: Option<usize>,
}

struct KnownSeries {
    /// In which store [`Self::handle`] was found. Zero for none.
    store: u64,
    handle: Option<SeriesHandle>,
    family: u32,
    /// What a counter still has to be increased by: there was no store.
    pending: u64,
    level: Level,
    /// The series of one label set share them.
    values: Rc<[Box<str>]>,
}

/// What a gauge shows of this worker.
#[derive(Clone, Copy)]
enum Level {
    /// It is no gauge, or was never recorded.
    None,
    /// What it was set to.
    Set(u64),
    /// What this worker's changes add up to.
    Sum(i64),
}

impl SeriesTable {
    /// Records in this store from now on. What was recorded while there was none is made up for, and
    /// gauges have their levels in it.
    pub fn use_store(&mut self, store: Option<Arc<MetricStore>>) {
        for at in 0..self.series.len() {
            self.show_level(SeriesId(at as u32), -1);
        }
        self.store = store;
        let Some(store) = self.store.clone() else {
            return;
        };
        for known in &mut self.families {
            known.metric = known.look_up(&store);
        }
        for at in 0..self.series.len() {
            let Some(series) = self.series.get_mut(at) else {
                return;
            };
            let pending = mem::take(&mut series.pending);
            if pending > 0 {
                self.add(SeriesId(at as u32), pending);
            }
            self.show_level(SeriesId(at as u32), 1);
        }
    }

    /// Has a gauge show this worker's part, or take it back.
    fn show_level(&mut self, gauge: SeriesId, sign: i64) {
        match self.series.get(gauge.0 as usize).map(|series| series.level) {
            Some(Level::Sum(level)) if level != 0 => {
                self.with(gauge, |store, gauge| {
                    store.scope.gauge_add(gauge, sign * level);
                });
            }
            Some(Level::Set(level)) if sign > 0 => {
                self.with(gauge, |store, gauge| store.scope.gauge_set(gauge, level));
            }
            _ => {}
        }
    }

    /// The family of this name with these labels.
    pub fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> FamilyId {
        let is = |known: &KnownFamily| known.family.name == name && known.family.labels == labels;
        let at = self.families.iter().position(is).unwrap_or_else(|| {
            let mut known = KnownFamily {
                family: PlannedFamily {
                    kind,
                    name: name.to_owned(),
                    labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                },
                metric: None,
            };
            if let Some(store) = &self.store {
                known.metric = known.look_up(store);
            }
            self.families.push(known);
            self.families.len() - 1
        });
        FamilyId(at as u32)
    }

    /// Whether the store takes one more label set; it is asked where there is one.
    pub fn admit(&self, family: FamilyId, values: &[&str], limit: usize) -> bool {
        let (Some(store), Some(known)) = (&self.store, self.families.get(family.0 as usize)) else {
            return true;
        };
        store.admit(&known.family, values, limit)
    }

    /// A series of a family.
    pub fn series(&mut self, family: FamilyId, values: &[&str]) -> SeriesId {
        let last = self.series.last().map(|last| &last.values);
        let same = last.filter(|last| last.iter().map(|value| &**value).eq(values.iter().copied()));
        let values = match same {
            Some(values) => Rc::clone(values),
            None => values.iter().map(|value| Box::from(*value)).collect(),
        };
        self.series.push(KnownSeries {
            store: 0,
            handle: None,
            family: family.0,
            pending: 0,
            level: Level::None,
            values,
        });
        let id = SeriesId(self.series.len() as u32 - 1);
        // Off the way of later requests, and visible from now on.
        self.with(id, |_, _| {});
        id
    }

    /// Adds to a counter; later, where there is no store now.
    #[inline]
    pub fn add(&mut self, counter: SeriesId, by: u64) {
        let added = self.with(counter, |store, counter| store.scope.add(counter, by));
        if added.is_none()
            && let Some(series) = self.series.get_mut(counter.0 as usize)
        {
            series.pending = series.pending.saturating_add(by);
        }
    }

    /// Observes a value in a histogram.
    #[inline]
    pub fn observe(&mut self, histogram: SeriesId, value: u64) {
        self.with(histogram, |store, histogram| {
            store.scope.observe(histogram, value);
        });
    }

    /// Sets a gauge.
    pub fn gauge_set(&mut self, gauge: SeriesId, value: u64) {
        if let Some(series) = self.series.get_mut(gauge.0 as usize) {
            series.level = Level::Set(value);
        }
        self.with(gauge, |store, gauge| store.scope.gauge_set(gauge, value));
    }

    /// Changes a gauge.
    pub fn gauge_add(&mut self, gauge: SeriesId, by: i64) {
        if let Some(series) = self.series.get_mut(gauge.0 as usize) {
            let before = match series.level {
                Level::Sum(level) => level,
                Level::None | Level::Set(_) => 0,
            };
            series.level = Level::Sum(before.saturating_add(by));
        }
        self.with(gauge, |store, gauge| store.scope.gauge_add(gauge, by));
    }

    /// Does something with a series in the store; `None` where either is not there.
    #[inline]
    fn with(
        &mut self,
        id: SeriesId,
        record: impl FnOnce(&MetricStore, SeriesHandle),
    ) -> Option<()> {
        let store = self.store.as_deref()?;
        let series = self.series.get_mut(id.0 as usize)?;
        if series.store != store.id {
            series.find_in(store, &self.families);
        }
        record(store, series.handle?);
        Some(())
    }
}

impl KnownFamily {
    /// Its number in a store; what is not there is said.
    fn look_up(&self, store: &MetricStore) -> Option<usize> {
        let metric = store.metric(&self.family);
        if metric.is_none() {
            log::error!(
                "the metrics cluster does not define {} with the labels of this filter, which counts it nowhere: \
                 give the cluster the same configuration as the filter",
                self.family.name
            );
        }
        metric
    }
}

impl KnownSeries {
    #[cold]
    fn find_in(&mut self, store: &MetricStore, families: &[KnownFamily]) {
        self.store = store.id;
        let family = families.get(self.family as usize);
        self.handle =
            family.and_then(|known| store.series(known.family.kind, known.metric?, &self.values));
    }
}
