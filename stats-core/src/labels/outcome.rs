//! How a request ended, as the labels `request_protocol`, `response_code`, `response_flags` and
//! `grpc_response_status` show it.

/// The protocol of a request, or that a connection is no request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP of any version.
    #[default]
    Http,
    /// gRPC, by its content type.
    Grpc,
    /// A TCP connection, whatever is spoken on it.
    Tcp,
}

impl Protocol {
    /// The protocol of a request with this content type. gRPC is decided as Envoy decides it: exactly
    /// `application/grpc`, or that followed by a suffix such as `+proto`.
    pub fn of(content_type: Option<&[u8]>) -> Self {
        match content_type.and_then(|value| value.strip_prefix(b"application/grpc")) {
            Some([] | [b'+', ..]) => Self::Grpc,
            _ => Self::Http,
        }
    }

    /// The value of the `request_protocol` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

/// How a request ended. The default is that of one that is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// The protocol.
    pub protocol: Protocol,
    /// The response's status, zero where there was no response.
    pub response_code: u32,
    /// Envoy's response flags, a bit each.
    pub response_flags: u64,
    /// The gRPC status; only gRPC has one, and not always.
    pub grpc_status: Option<i32>,
}
