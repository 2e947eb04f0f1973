//! Which calls a module can make into the proxy, how often it made each, and what the core's questions
//! to a host are in these words.

use stats_core::host::memory::{Call, CallCounts};

/// A call into the proxy, told apart as the ABI does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`HostCall::name` says it")]
pub enum HostCall {
    GetHeader,
    GetHeaders,
    SetHeader,
    RemoveHeader,
    GetProperty,
    SetProperty,
    Compile,
    Evaluate,
    Forget,
    Declare,
    Define,
    Record,
    Change,
    Time,
    Log,
    GetBuffer,
    SetBuffer,
    ContinueStream,
    GetShared,
    SetShared,
    SetTickPeriod,
    SetEffectiveContext,
}

impl HostCall {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 22] = [
        Self::GetHeader,
        Self::GetHeaders,
        Self::SetHeader,
        Self::RemoveHeader,
        Self::GetProperty,
        Self::SetProperty,
        Self::Compile,
        Self::Evaluate,
        Self::Forget,
        Self::Declare,
        Self::Define,
        Self::Record,
        Self::Change,
        Self::Time,
        Self::Log,
        Self::GetBuffer,
        Self::SetBuffer,
        Self::ContinueStream,
        Self::GetShared,
        Self::SetShared,
        Self::SetTickPeriod,
        Self::SetEffectiveContext,
    ];

    /// The function of the ABI, and for a foreign function also which.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetHeader => "proxy_get_header_map_value",
            Self::GetHeaders => "proxy_get_header_map_pairs",
            Self::SetHeader => "proxy_replace_header_map_value",
            Self::RemoveHeader => "proxy_remove_header_map_value",
            Self::GetProperty => "proxy_get_property",
            Self::SetProperty => "proxy_set_property",
            Self::Compile => "proxy_call_foreign_function expr_create",
            Self::Evaluate => "proxy_call_foreign_function expr_evaluate",
            Self::Forget => "proxy_call_foreign_function expr_delete",
            Self::Declare => "proxy_call_foreign_function declare_property",
            Self::Define => "proxy_define_metric",
            Self::Record => "proxy_record_metric",
            Self::Change => "proxy_increment_metric",
            Self::Time => "proxy_get_current_time_nanoseconds",
            Self::Log => "proxy_log",
            Self::GetBuffer => "proxy_get_buffer_bytes",
            Self::SetBuffer => "proxy_set_buffer_bytes",
            Self::ContinueStream => "proxy_continue_stream",
            Self::GetShared => "proxy_get_shared_data",
            Self::SetShared => "proxy_set_shared_data",
            Self::SetTickPeriod => "proxy_set_tick_period_milliseconds",
            Self::SetEffectiveContext => "proxy_set_effective_context",
        }
    }
}

/// How often each call was made, in the order of [`HostCall::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCalls([u64; HostCall::ALL.len()]);

impl HostCalls {
    /// The calls that a module makes for what the core asked of a host in memory.
    pub fn of_core(counts: &CallCounts) -> Self {
        let mut calls = Self::default();
        for call in Call::ALL {
            for made in in_abi(*call) {
                calls.0[*made as usize] += counts.of(*call);
            }
        }
        calls
    }

    /// Counts a call.
    pub fn count(&mut self, call: HostCall) {
        self.0[call as usize] += 1;
    }

    /// How often this call was made.
    pub fn of(&self, call: HostCall) -> u64 {
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

/// What a module calls for one question of the core, once its expressions are compiled.
fn in_abi(call: Call) -> &'static [HostCall] {
    use HostCall as H;
    match call {
        Call::Header => &[H::GetHeader],
        Call::Headers => &[H::GetHeaders],
        Call::SetHeader => &[H::SetHeader],
        Call::RemoveHeader => &[H::RemoveHeader],
        Call::FinishedRequest | Call::EndedConnection | Call::Evaluate => &[H::Evaluate],
        Call::GrpcStatus
        | Call::GrpcMessages
        | Call::ListenerDirection
        | Call::ClusterName
        | Call::Cluster
        | Call::PublishedPeer
        | Call::Exchanged
        | Call::NativePeer
        | Call::EndpointWorkload => &[H::GetProperty],
        Call::DownstreamPrincipals => &[H::GetProperty, H::GetProperty],
        // The cluster, the route and the connection.
        Call::OpenRequest => &[H::GetProperty, H::GetProperty, H::GetProperty],
        // Flags, both sizes, the cluster, the route, and whether there is an upstream.
        Call::OpenConnection => &[H::GetProperty; 6],
        Call::DeclarePeers => &[H::Declare, H::Declare],
        Call::PublishPeer | Call::PublishExchanged => &[H::SetProperty],
        Call::Chunk => &[H::GetBuffer],
        Call::EditChunk => &[H::SetBuffer],
        Call::PassChunk => &[H::ContinueStream],
        Call::Family => &[],
        Call::Series => &[H::Define],
        Call::Add | Call::Observe | Call::GaugeSet => &[H::Record],
        Call::GaugeAdd => &[H::Change],
        // Alone, and then with its type.
        Call::Compile => &[H::Compile, H::Forget, H::Compile],
        Call::Release => &[H::Forget],
        Call::Now => &[H::Time],
    }
}
