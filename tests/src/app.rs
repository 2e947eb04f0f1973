//! The application behind a sidecar: the path chooses the answer, and every request is kept.
//!
//! | path | answer |
//! |---|---|
//! | `/status/CODE` | that status |
//! | `/delay/MS` | 200, that many milliseconds later |
//! | `/hang` | none, ever |
//! | `/trickle/MS` | 200 and the first half of a body, the other half that many milliseconds later |
//! | `/headers?NAME=VALUE&…` | 200 with those headers |
//! | `/grpc/trailers/CODE` | 200, `application/grpc`, a message, then `grpc-status: CODE` in trailers |
//! | `/grpc/headers/CODE` | 200, `application/grpc`, `grpc-status: CODE` in headers, nothing after them |
//! | `/grpc/echo` | 200, `application/grpc`, each message when it comes, then `grpc-status: 0` in trailers |
//! | `/upgrade` | 101, and then each byte when it comes |
//! | any other, usually `/version` | 200 with a small JSON body |

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::body::Body;
use crate::eventually;

/// An HTTP/1.1 and HTTP/2 (cleartext) server in this process; dropping it closes the port.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    log: RequestLog,
    server: AbortHandle,
}

impl App {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let log = RequestLog::default();
        let server = tokio::spawn(accept(listener, log.clone())).abort_handle();
        Ok(Self {
            address,
            log,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that have arrived, in order; their bodies are not kept.
    pub fn requests(&self) -> Vec<Parts> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for a request to that path.
    ///
    /// # Errors
    /// When none comes.
    pub async fn reached(&self, path: &str) -> Result<Parts> {
        eventually(
            &format!("a request to {path} reaches the application"),
            async || {
                Ok(self
                    .requests()
                    .into_iter()
                    .find(|request| request.uri.path() == path))
            },
        )
        .await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type RequestLog = Arc<Mutex<Vec<Parts>>>;

async fn accept(listener: TcpListener, log: RequestLog) {
    // Dropped with the server, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let log = log.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, log.clone()));
            // An error means that the client has closed the connection, as some tests do.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    log: RequestLog,
) -> Result<Response<Body>, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(parts);
    if uri.path() == "/grpc/echo" {
        return Ok(echo(body));
    }
    if uri.path() == "/upgrade" {
        tokio::spawn(echo_bytes(upgraded));
        return Ok(with_headers(
            status("101"),
            "connection=upgrade&upgrade=websocket",
        ));
    }
    // The same holds during a request.
    let _ = body.collect().await;

    let steps: Vec<&str> = uri.path().split('/').skip(1).collect();
    Ok(match steps[..] {
        ["status", code] => status(code),
        ["delay", milliseconds] => {
            tokio::time::sleep(Duration::from_millis(
                milliseconds.parse().unwrap_or_default(),
            ))
            .await;
            version()
        }
        ["hang"] => std::future::pending().await,
        ["trickle", milliseconds] => trickle(milliseconds),
        ["headers"] => with_headers(version(), uri.query().unwrap_or_default()),
        ["grpc", "trailers", code] => grpc_with_trailers(code),
        ["grpc", "headers", code] => with_headers(grpc(empty()), &format!("grpc-status={code}")),
        _ => version(),
    })
}

fn version() -> Response<Body> {
    let mut response = Response::new(full("{\"version\":\"6.9.0\"}\n"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(code: &str) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = code.parse().unwrap_or(StatusCode::BAD_REQUEST);
    response
}

fn grpc(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn grpc_with_trailers(code: &str) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    if let Ok(code) = HeaderValue::from_str(code) {
        trailers.insert("grpc-status", code);
    }
    // One empty message: not compressed, of length zero.
    let message = Full::new(Bytes::from_static(&[0; 5]));
    grpc(
        message
            .with_trailers(std::future::ready(Some(Ok(trailers))))
            .boxed_unsync(),
    )
}

/// A task sends both halves; it stops after them, or when the client is gone.
fn trickle(milliseconds: &str) -> Response<Body> {
    let pause = Duration::from_millis(milliseconds.parse().unwrap_or_default());
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let half = Bytes::from_static(b"half\n");
        if sender.send_data(half.clone()).await.is_ok() {
            tokio::time::sleep(pause).await;
            let _ = sender.send_data(half).await;
        }
    });
    Response::new(body.boxed_unsync())
}

/// Stops with the connection.
async fn echo_bytes(upgraded: OnUpgrade) -> Result<()> {
    let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded.await?));
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(())
}

/// A task copies the messages; it stops with the call.
fn echo(mut messages: Incoming) -> Response<Body> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        while let Some(frame) = messages.frame().await {
            let Ok(frame) = frame else { return };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _ = sender.send_trailers(trailers).await;
    });
    grpc(body.boxed_unsync())
}

fn with_headers(mut response: Response<Body>, query: &str) -> Response<Body> {
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn full(body: &'static str) -> Body {
    Full::from(body).boxed_unsync()
}

fn empty() -> Body {
    Empty::new().boxed_unsync()
}
