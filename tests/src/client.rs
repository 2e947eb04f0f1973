//! Clients: [`Client`] for well-formed HTTP, [`send_raw`] for any bytes.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::channel::{self, Channel};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use crate::body::Body;

/// The authority of requests by [`Client::get`].
pub const AUTHORITY: &str = "podinfo:9898";

/// One connection, kept alive from request to request. Dropping it closes the connection, also within a request.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    connection: AbortHandle,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers; empty if there were none.
    pub trailers: HeaderMap,
}

/// A gRPC call with messages in both directions. Dropping it cancels the call; the connection stays.
#[must_use]
pub struct GrpcCall {
    messages: channel::Sender<Bytes>,
    answers: Incoming,
}

impl Client {
    /// Connects for HTTP/1.1.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn http1(address: SocketAddr) -> Result<Self> {
        Self::http1_over(connect(address).await?).await
    }

    /// Connects for HTTP/2 in cleartext, without an upgrade.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn http2(address: SocketAddr) -> Result<Self> {
        let stream = TokioIo::new(connect(address).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self {
            sender: Sender::Http2(sender),
            connection,
        })
    }

    /// Connects to a Unix socket for HTTP/1.1.
    pub(crate) async fn unix(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .await
            .with_context(|| path.display().to_string())?;
        Self::http1_over(stream).await
    }

    /// GET of a path at [`AUTHORITY`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.send(request(Method::GET, path)?).await
    }

    /// POST without a body, of a path at [`AUTHORITY`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn post(&mut self, path: &str) -> Result<Response> {
        self.send(request(Method::POST, path)?).await
    }

    /// Sends a request whose URI is absolute, `http://podinfo:9898/version`, and reads the whole response.
    ///
    /// # Errors
    /// When the connection is closed before the response is complete.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response> {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.start(request.map(BodyExt::boxed_unsync)).await;
        Response::read(response.context(what.clone())?)
            .await
            .context(what)
    }

    /// Begins a gRPC call of a path at [`AUTHORITY`], and waits for the response's headers.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn call(&mut self, path: &str) -> Result<GrpcCall> {
        let (messages, body) = Channel::new(1);
        let mut request = request(Method::POST, path)?.map(|_| body.boxed_unsync());
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let response = self.start(request).await.with_context(|| path.to_owned())?;
        Ok(GrpcCall {
            messages,
            answers: response.into_body(),
        })
    }

    async fn start(&mut self, request: Request<Body>) -> Result<hyper::Response<Incoming>> {
        Ok(match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(origin_form(request)?).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    async fn http1_over(stream: impl AsyncStream) -> Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self {
            sender: Sender::Http1(sender),
            connection,
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl GrpcCall {
    /// Sends one message, an empty one, and waits for one in answer.
    ///
    /// # Errors
    /// When the call is already complete.
    pub async fn exchange(&mut self) -> Result<()> {
        // Not compressed, of length zero.
        let message = Bytes::from_static(&[0; 5]);
        let mut missing = message.len();
        self.messages.send_data(message).await?;
        while missing > 0 {
            let Some(frame) = self.answers.frame().await else {
                bail!("the call is already complete");
            };
            missing = missing.saturating_sub(frame?.data_ref().map_or(0, Bytes::len));
        }
        Ok(())
    }

    /// Sends no more messages and reads to the end; returns the trailers.
    ///
    /// # Errors
    /// When the connection is closed before the response is complete.
    pub async fn finish(self) -> Result<HeaderMap> {
        drop(self.messages);
        let rest = self.answers.collect().await?;
        Ok(rest.trailers().cloned().unwrap_or_default())
    }
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    async fn read(response: hyper::Response<Incoming>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            trailers,
        })
    }
}

/// A request for a path at [`AUTHORITY`], to which callers may add headers and a body.
///
/// # Errors
/// When that is not a path.
pub fn request(method: Method, path: &str) -> Result<Request<Full<Bytes>>> {
    let uri = format!("http://{AUTHORITY}{path}");
    Ok(Request::builder()
        .method(method)
        .uri(uri)
        .body(Full::default())?)
}

/// Sends bytes as they are, and returns what the other side sends until it closes the connection: the request should have
/// `connection: close`.
///
/// # Errors
/// When there is no connection to be had, or it breaks.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

trait AsyncStream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static {}
impl AsyncStream for TcpStream {}
impl AsyncStream for UnixStream {}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| address.to_string())?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// HTTP/1.1 puts the authority into a header and only the path on the request line.
fn origin_form(mut request: Request<Body>) -> Result<Request<Body>> {
    let uri = request.uri().clone();
    if let Some(authority) = uri.authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().entry(HOST).or_insert(host);
    }
    *request.uri_mut() = Uri::from(
        uri.path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
    );
    Ok(request)
}
