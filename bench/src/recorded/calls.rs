//! Which calls a module can make into the proxy, and how often it made each.

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
    GetShared,
    SetShared,
    SetTickPeriod,
    SetEffectiveContext,
}

impl HostCall {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 20] = [
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
            Self::GetShared => "proxy_get_shared_data",
            Self::SetShared => "proxy_set_shared_data",
            Self::SetTickPeriod => "proxy_set_tick_period_milliseconds",
            Self::SetEffectiveContext => "proxy_set_effective_context",
        }
    }
}

/// How often each call was made, in the order of [`HostCall::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCalls(pub(super) [u64; HostCall::ALL.len()]);

impl HostCalls {
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
