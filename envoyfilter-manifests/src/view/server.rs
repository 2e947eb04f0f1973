//! The HTTP server of the page. It reads and never writes, and answers only to its own name: a site elsewhere whose name is
//! pointed at this machine gets nothing.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};

use super::choice::{Chosen, ViewChoice};
use super::document::{self, Frame};
use super::drawing;
use super::feed::Feed;
use super::layout::{GraphLayout, LayoutCache};
use super::summary;
use super::traffic::{CallParty, PartyKind, TrafficGraph};

/// Nothing but this site's own style and script, and no inline ones: a name that gets past escaping would still run nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Of the picture, which has its style within and no script at all.
const PICTURE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
const PICTURE: &str = "image/svg+xml";
const STYLES: [&str; 2] = [
    include_str!("assets/graph.css"),
    include_str!("assets/page.css"),
];
const SCRIPT: &str = include_str!("assets/live.js");
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// What is shown now.
#[derive(Default)]
struct Snapshot {
    graph: TrafficGraph,
    problems: Vec<String>,
}

struct Site {
    hosts: BTreeSet<String>,
    source: String,
    every: Duration,
    shown: Mutex<Arc<Snapshot>>,
    layouts: Mutex<LayoutCache>,
}

type HttpPage = Response<Full<Bytes>>;

/// Reads the feed and serves pages until the process is ended.
///
/// # Errors
/// When the port is taken.
pub async fn serve(mut feed: Feed, listen: SocketAddr, hosts: &[String]) -> Result<()> {
    let listener = TcpListener::bind(listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {listen}; choose another with --listen"))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        eprintln!("warning: whoever reaches {address} sees the mesh; there is no password");
    }
    println!("http://{address}/");
    let site = Arc::new(Site {
        hosts: hosts.iter().map(|host| host.to_lowercase()).collect(),
        source: feed.description(),
        every: feed.interval(),
        shown: Mutex::default(),
        layouts: Mutex::default(),
    });
    let reading = async {
        loop {
            feed.read().await;
            let problems = feed.problems().to_vec();
            let shown = Snapshot {
                graph: feed.graph(),
                problems,
            };
            *site.shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
            tokio::time::sleep(site.every).await;
        }
    };
    let serving = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, site.clone()));
                }
                // Too many open files, for example: there may be fewer soon.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::join!(reading, serving).0
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let answer = service_fn(|request: Request<Incoming>| {
        let page = site.answer(&request, local);
        async { Ok::<_, Infallible>(page) }
    });
    // Fails when the browser goes away, which is its right.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Site {
    fn answer(&self, request: &Request<Incoming>, local: SocketAddr) -> HttpPage {
        let host = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.is_own(host, local)) {
            let text =
                "This page answers to its own address only; see --host of `mixerless view`.\n";
            return page(
                StatusCode::MISDIRECTED_REQUEST,
                "text/plain",
                text.to_owned(),
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = page(
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain",
                "This page only reads.\n".to_owned(),
            );
            let allowed = hyper::header::HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let Ok(url) = Url::parse("http://localhost/").and_then(|base| base.join(target)) else {
            return page(
                StatusCode::BAD_REQUEST,
                "text/plain",
                "No address.\n".to_owned(),
            );
        };
        self.page_at(&url)
    }

    fn page_at(&self, url: &Url) -> HttpPage {
        let shown = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let frame = Frame {
            source: &self.source,
            problems: &shown.problems,
            every: self.every.as_secs(),
        };
        let html = |status, markup: maud::Markup| page(status, "text/html", markup.into_string());
        match url.path() {
            "/" => {
                let choice = ViewChoice::parse(url);
                let chosen = Chosen::of(&shown.graph, &choice);
                let layout = self.layout(&chosen);
                html(
                    StatusCode::OK,
                    document::mesh(&frame, &shown.graph, &choice, &layout, &chosen),
                )
            }
            "/workload" => html(
                StatusCode::OK,
                document::workload(&frame, &shown.graph, &party(url)),
            ),
            "/graph.svg" => {
                let chosen = Chosen::of(&shown.graph, &ViewChoice::parse(url));
                page(
                    StatusCode::OK,
                    PICTURE,
                    drawing::standalone(&chosen, &self.layout(&chosen)),
                )
            }
            "/graph.json" => {
                let json = serde_json::to_string(&summary::of(&shown.graph));
                page(StatusCode::OK, "application/json", json.unwrap_or_default())
            }
            "/style.css" => page(StatusCode::OK, "text/css", STYLES.concat()),
            "/live.js" => page(StatusCode::OK, "text/javascript", SCRIPT.to_owned()),
            _ => html(StatusCode::NOT_FOUND, document::not_found(&frame)),
        }
    }

    fn layout(&self, chosen: &Chosen) -> Arc<GraphLayout> {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.of(chosen)
    }

    /// Whether a request is meant for this server. An address cannot be pointed elsewhere, a name can: of names, only
    /// `localhost` and those that the user gave are its own.
    fn is_own(&self, host: &str, local: SocketAddr) -> bool {
        let host = host.to_lowercase();
        if self.hosts.contains(&host) || host == local.to_string() {
            return true;
        }
        let (name, port) = host.rsplit_once(':').unwrap_or((&host, "80"));
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let loopback = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        port == local.port().to_string() && loopback && local.ip().is_loopback()
    }
}

fn party(url: &Url) -> CallParty {
    let value = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let kinds = [
        PartyKind::Workload,
        PartyKind::Service,
        PartyKind::Unknown,
        PartyKind::Overflow,
    ];
    let kind = value("kind");
    let kind = kinds
        .into_iter()
        .find(|known| drawing::kind_name(*known) == kind);
    CallParty {
        namespace: value("namespace"),
        name: value("name"),
        kind: kind.unwrap_or(PartyKind::Workload),
    }
}

fn page(status: StatusCode, kind: &str, text: String) -> HttpPage {
    let policy = if kind == PICTURE {
        PICTURE_POLICY
    } else {
        POLICY
    };
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, format!("{kind}; charset=utf-8"))
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_SECURITY_POLICY, policy)
        .header(REFERRER_POLICY, "no-referrer")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(X_FRAME_OPTIONS, "DENY")
        .body(Full::new(Bytes::from(text)));
    // Fails for a header that is none; these are constants.
    response.unwrap_or_default()
}
