//! Why a peer is not known: the label `peer_unknown_reason`.

/// Why a peer is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownReason {
    /// It is known.
    #[default]
    None,
    /// It sent no metadata: no sidecar, or one that does not exchange metadata.
    NoMetadata,
    /// What it sent does not decode.
    Undecodable,
    /// What it sent is larger than [`MAX_METADATA_BYTES`](super::cache::MAX_METADATA_BYTES).
    Oversized,
    /// No response came from upstream.
    NoResponse,
}

impl UnknownReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::NoMetadata,
        Self::Undecodable,
        Self::Oversized,
        Self::NoResponse,
    ];
    /// The label's name.
    pub const LABEL: &'static str = "peer_unknown_reason";

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::NoMetadata => "no_metadata",
            Self::Undecodable => "undecodable",
            Self::Oversized => "oversized",
            Self::NoResponse => "no_response",
        }
    }
}
