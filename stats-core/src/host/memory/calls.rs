//! Which calls a [`MemoryHost`](super::MemoryHost) was asked, counted by kind, and noted in their order
//! where that is wanted.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

macro_rules! calls {
    ($($variant:ident $name:literal)*) => {
        /// A call into a host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Call {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that notes have.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

calls! {
    Header "get"
    Headers "get all of"
    SetHeader "set"
    RemoveHeader "remove"
    FinishedRequest "finished request"
    OpenRequest "open request"
    EndedConnection "ended connection"
    OpenConnection "open connection"
    Chunk "chunk"
    EditChunk "edit chunk"
    PassChunk "pass chunk"
    PublishExchanged "publish exchanged"
    Exchanged "exchanged"
    GrpcStatus "grpc status"
    GrpcMessages "grpc messages"
    ListenerDirection "listener direction"
    ClusterName "cluster name"
    Cluster "cluster"
    DownstreamPrincipals "downstream principals"
    PublishedPeer "published peer"
    NativePeer "native peer"
    EndpointWorkload "endpoint workload"
    DeclarePeers "declare peers"
    PublishPeer "publish peer"
    Family "family"
    Series "series"
    Add "add"
    Observe "observe"
    GaugeSet "set gauge"
    GaugeAdd "change gauge"
    Compile "compile"
    Evaluate "evaluate"
    Release "release"
    Now "now"
}

/// How often each call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCounts([u64; Call::ALL.len()]);

impl Default for CallCounts {
    /// No calls.
    fn default() -> Self {
        Self([0; Call::ALL.len()])
    }
}

impl CallCounts {
    /// How often this call was made.
    pub fn of(&self, call: Call) -> u64 {
        self.0[call as usize]
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

/// The calls of a host.
pub struct CallLog {
    counts: [Cell<u64>; Call::ALL.len()],
    /// Whether calls are noted: that allocates.
    notes: Cell<bool>,
    noted: RefCell<Vec<String>>,
}

impl Default for CallLog {
    /// No calls, and none are noted.
    fn default() -> Self {
        Self {
            counts: [const { Cell::new(0) }; Call::ALL.len()],
            notes: Cell::new(false),
            noted: RefCell::default(),
        }
    }
}

impl CallLog {
    /// Counts a call, and notes it with what `detail` says.
    #[inline]
    pub fn count(&self, call: Call, detail: impl FnOnce() -> String) {
        let count = &self.counts[call as usize];
        count.set(count.get() + 1);
        if self.notes.get() {
            self.note(call, &detail());
        }
    }

    #[cold]
    fn note(&self, call: Call, detail: &str) {
        let mut note = String::from(call.name());
        if !detail.is_empty() {
            note.push(' ');
            note.push_str(detail);
        }
        self.noted.borrow_mut().push(note);
    }

    /// How often each call was made so far.
    pub fn counts(&self) -> CallCounts {
        CallCounts(self.counts.each_ref().map(Cell::get))
    }

    /// From now on calls are noted.
    pub fn start_notes(&self) {
        self.noted.take();
        self.notes.set(true);
    }

    /// The notes since [`Self::start_notes`].
    pub fn take_notes(&self) -> Vec<String> {
        self.notes.set(false);
        self.noted.take()
    }
}
