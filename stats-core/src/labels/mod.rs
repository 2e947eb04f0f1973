//! The labels of Istio's standard metrics: their names and order, where each value comes from, how
//! values and metrics are spelled.
//!
//! The contract's table is [`table`]. Which labels a configuration adds or removes is decided in
//! [`record`](crate::record), not here.

pub mod metrics;
pub mod operation;
pub mod outcome;
pub mod response_flags;
pub mod service;
pub mod stat_name;
pub mod table;
pub mod value;
pub mod visible;

/// The value of a label that is not known.
pub const UNKNOWN: &str = "unknown";
/// The value of a label on the overflow series, those that count what exceeds the limit on series,
/// where the label can have any number of values: [`table::Origin::is_bounded`] says which cannot.
pub const OVERFLOW: &str = "overflow";

macro_rules! labels {
    ($($variant:ident $name:literal)*) => {
        /// A label of the standard metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Label {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Label {
            /// All labels, in the order in which a stat name carries them.
            pub const ALL: [Self; 25] = [$(Self::$variant,)*];

            /// The label's name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// The names of [`Label::ALL`].
        pub const LABELS: [&str; 25] = [$($name,)*];
    };
}

labels! {
    Reporter "reporter"
    SourceWorkload "source_workload"
    SourceWorkloadNamespace "source_workload_namespace"
    SourcePrincipal "source_principal"
    SourceApp "source_app"
    SourceVersion "source_version"
    SourceCanonicalService "source_canonical_service"
    SourceCanonicalRevision "source_canonical_revision"
    SourceCluster "source_cluster"
    DestinationWorkload "destination_workload"
    DestinationWorkloadNamespace "destination_workload_namespace"
    DestinationPrincipal "destination_principal"
    DestinationApp "destination_app"
    DestinationVersion "destination_version"
    DestinationService "destination_service"
    DestinationServiceName "destination_service_name"
    DestinationServiceNamespace "destination_service_namespace"
    DestinationCanonicalService "destination_canonical_service"
    DestinationCanonicalRevision "destination_canonical_revision"
    DestinationCluster "destination_cluster"
    RequestProtocol "request_protocol"
    ResponseFlags "response_flags"
    ConnectionSecurityPolicy "connection_security_policy"
    ResponseCode "response_code"
    GrpcResponseStatus "grpc_response_status"
}

/// Which side of a request reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// The proxy beside the client, or a gateway.
    Source,
    /// The proxy beside the server.
    Destination,
    /// A proxy in front of a set of workloads.
    Waypoint,
}

impl Reporter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Source, Self::Destination, Self::Waypoint];

    /// The value of the `reporter` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Waypoint => "waypoint",
        }
    }
}

#[cfg(test)]
mod tests;
