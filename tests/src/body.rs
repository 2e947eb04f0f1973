//! The body of what the client sends and the application answers.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// A body of any kind that cannot fail.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
