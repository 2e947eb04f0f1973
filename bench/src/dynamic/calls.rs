//! Which functions of Envoy the library calls, and how often each was called on a thread; which labels it
//! resolved last, and what it logged.

use std::cell::{Cell, RefCell};

/// A function of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`EnvoyCallback::name` says it")]
pub enum EnvoyCallback {
    GetHeader,
    SetHeader,
    Text,
    Number,
    Timing,
    Metadata,
    GetFilterState,
    SetFilterState,
    Define,
    Resolve,
    Add,
    Observe,
    Gauge,
    Log,
    Begin,
}

impl EnvoyCallback {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::GetHeader,
        Self::SetHeader,
        Self::Text,
        Self::Number,
        Self::Timing,
        Self::Metadata,
        Self::GetFilterState,
        Self::SetFilterState,
        Self::Define,
        Self::Resolve,
        Self::Add,
        Self::Observe,
        Self::Gauge,
        Self::Log,
        Self::Begin,
    ];

    /// What tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetHeader => "header reads",
            Self::SetHeader => "header writes",
            Self::Text => "attributes that are texts",
            Self::Number => "attributes that are numbers",
            Self::Timing => "times",
            Self::Metadata => "metadata",
            Self::GetFilterState => "filter state reads",
            Self::SetFilterState => "filter state writes",
            Self::Define => "definitions",
            Self::Resolve => "new series",
            Self::Add => "counters",
            Self::Observe => "histograms",
            Self::Gauge => "gauges",
            Self::Log => "lines",
            Self::Begin => "clusters that are ready",
        }
    }
}

/// How often each function was called, in the order of [`EnvoyCallback::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackCounts([u64; EnvoyCallback::ALL.len()]);

impl CallbackCounts {
    /// How often this one was.
    pub fn of(&self, callback: EnvoyCallback) -> u64 {
        self.0[callback as usize]
    }

    /// How many calls were made.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The calls since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut calls = *self;
        for (now, before) in calls.0.iter_mut().zip(earlier.0) {
            *now -= before;
        }
        calls
    }
}

thread_local! {
    static COUNTS: [Cell<u64>; EnvoyCallback::ALL.len()] =
        const { [const { Cell::new(0) }; EnvoyCallback::ALL.len()] };
    static LABELS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The calls on this thread so far.
pub fn counts() -> CallbackCounts {
    COUNTS.with(|counts| CallbackCounts(counts.each_ref().map(Cell::get)))
}

/// The label values of the series that was found last on this thread.
pub fn last_labels() -> Vec<String> {
    LABELS.with_borrow(Clone::clone)
}

/// What the library logged on this thread.
pub fn lines() -> Vec<String> {
    LINES.with_borrow(Clone::clone)
}

/// Forgets what was logged so far.
pub fn forget_lines() {
    LINES.take();
}

pub(super) fn count(callback: EnvoyCallback) {
    COUNTS.with(|counts| {
        let count = &counts[callback as usize];
        count.set(count.get() + 1);
    });
}

pub(super) fn resolved(labels: Vec<String>) {
    LABELS.set(labels);
}

pub(super) fn logged(line: String) {
    LINES.with_borrow_mut(|lines| lines.push(line));
}
