//! A service on hyper with metrics: `cargo run -p stats-core --example hyper_service --features std`,
//! then `curl 127.0.0.1:8080/hello` and `curl 127.0.0.1:8080/metrics`.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use stats_core::registry::{
    Buckets, Counter, Family, Format, Gauge, Histogram, MonotonicClock, Registry, RegistryError,
    UnixClock,
};
use stats_core::{label_set, label_value};
use tokio::net::TcpListener;

label_value! {
    /// Methods that are counted by name; a client can send any.
    #[derive(Clone, Copy)]
    enum Method {
        Get = "GET",
        Post = "POST",
        Other = "other",
    }
}

label_set! {
    /// What requests are counted by.
    #[derive(Clone, Copy)]
    struct Route<'a> {
        method: Method,
        path: &'a str,
        code: u16,
    }
}

/// Clients choose paths, so that their number has to be bounded.
const MAX_SERIES: usize = 100;
const OVERFLOW: Route = Route {
    method: Method::Other,
    path: "other",
    code: 0,
};

/// All metrics of the service.
pub struct Metrics {
    registry: Registry,
    clock: MonotonicClock,
    requests: Family<Route<'static>, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// Where two have the same name.
    pub fn new() -> Result<Self, RegistryError> {
        let registry = Registry::new().with_created(UnixClock);
        let app = registry.sub_registry("app", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let requests =
            Family::<Route, Counter>::builder("http_requests_total", "Requests answered.")
                .limit(MAX_SERIES, &OVERFLOW)
                .register(&app)?;
        let seconds = Family::<(), Histogram>::builder(
            "http_request_duration_seconds",
            "How long they took.",
        )
        .unit("seconds")
        .buckets(Buckets::exponential(0.001, 2.0, 12))
        .register(&app)?;
        Ok(Self {
            clock: MonotonicClock::default(),
            requests,
            seconds: seconds.get_or_create(&()),
            in_flight: app.gauge("http_requests_in_flight", "Requests not answered yet.", &[])?,
            registry,
        })
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        self.in_flight.inc();
        let timer = self.seconds.start_timer(&self.clock);
        let response = match request.uri().path() {
            "/metrics" => self.page(request),
            path => Response::new(format!("You asked for {path}.\n").into()),
        };
        timer.stop();
        self.in_flight.dec();
        let route = Route {
            method: match *request.method() {
                hyper::Method::GET => Method::Get,
                hyper::Method::POST => Method::Post,
                _ => Method::Other,
            },
            path: request.uri().path(),
            code: response.status().as_u16(),
        };
        self.requests.with(&route, Counter::inc);
        response
    }

    /// In the format that the client likes best.
    fn page(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accept = request.headers().get(ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept.unwrap_or_default());
        let mut response = Response::new(self.registry.page(format).into());
        let content_type = format.content_type().parse();
        response
            .headers_mut()
            .extend(content_type.ok().map(|value| (CONTENT_TYPE, value)));
        response
    }
}

/// Answers whoever connects.
///
/// # Errors
/// Where nobody can connect any more.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = metrics.answer(&request);
                async { Ok::<_, Infallible>(response) }
            });
            // What a client breaks is the client's.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/metrics", listener.local_addr()?);
    serve(listener, Arc::new(Metrics::new()?)).await?;
    Ok(())
}
