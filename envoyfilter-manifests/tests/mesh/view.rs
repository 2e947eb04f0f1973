//! `mixerless view` in a real browser, of real Envoys: clicked through, and with names that would like to be scripts.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use harness::client::send_raw;
use harness::{Mesh, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bare_envoy::BareEnvoy;
use crate::gate::Traffic;
use crate::prometheus::Prometheus;
use crate::support::{Server, free_port, mixerless, must, run, texts};

/// Keys, as the driver knows them.
const ENTER: char = '\u{e007}';
const TAB: char = '\u{e004}';

#[tokio::test]
async fn one_clicks_through_the_mesh_and_figures_move_meanwhile() {
    let mesh = Mesh::builder().start().await.unwrap();
    mesh.get("/version").await.unwrap();
    let (inbound, outbound) = (
        mesh.inbound.metrics.to_string(),
        mesh.outbound.metrics.to_string(),
    );
    let view = View::start(&[&inbound, &outbound, "--window", "5s"]);
    let browser = Browser::start().await;
    browser.open(&view.url("/")).await;
    // It comes without a reload: what is kept in the page stays.
    browser.script("window.kept = true").await;
    browser.sees("svg.graph .node .name", "podinfo").await;
    let _traffic = Traffic::to(mesh.outbound.traffic);
    browser.sees("svg.graph .label text", " rps").await;
    browser.sees("svg.graph .lock.closed", "").await;
    browser.sees("table td.number", "100 %").await;
    let moved = eventually("another rate, without a reload", async || {
        let rate = "return document.querySelector('svg.graph .label text').textContent";
        let before = browser.script(rate).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok((before != browser.script(rate).await).then_some(()))
    });
    moved.await.unwrap();
    assert_eq!(browser.script("return window.kept").await, json!(true));

    browser.click("svg.graph a .name").await;
    browser.sees("h2", "podinfo in test").await;
    browser.sees("svg.histogram .bar", "").await;
    browser.sees("dl.figures", "p99").await;
    browser.sees("table td", "200").await;
    browser.click("header nav a").await;
    // One namespace, shown as one.
    browser.click("nav.namespaces a").await;
    browser
        .sees("svg.graph .node.namespace .name", "test")
        .await;
    // And again in full, from the graph itself, without a mouse.
    browser.tab_to("svg.graph a").await;
    browser.press(ENTER).await;
    browser
        .sees("svg.graph .node.workload .name", "podinfo")
        .await;
    browser.search("nobody").await;
    browser.sees("main", "Nothing has that name").await;

    let elsewhere = "return performance.getEntriesByType('resource').map(entry => entry.name)\
                     .filter(name => !name.startsWith(location.origin))";
    assert_eq!(browser.script(elsewhere).await, json!([]));
    browser.end().await;
}

#[tokio::test]
async fn a_name_that_is_a_script_is_shown_and_not_run() {
    let name = r#"<script>document.title="owned"</script>"#;
    let namespace = r#"'"><img src=x onerror="document.title='owned'">&amp;"#;
    let proxy = BareEnvoy::start(|bootstrap| {
        let metadata = &mut bootstrap["node"]["metadata"];
        metadata["WORKLOAD_NAME"] = json!(name);
        metadata["NAMESPACE"] = json!(namespace);
    })
    .await;
    proxy.get("/version").await;
    let _traffic = Traffic::to(proxy.traffic);
    let view = View::start(&[&proxy.metrics.to_string(), "--window", "5s"]);
    let browser = Browser::start().await;
    browser.open(&view.url("/")).await;
    browser
        .sees("svg.graph .node.workload .name", &name[..20])
        .await;
    // Only links show the whole of a long name.
    browser.sees("table a", name).await;
    browser.sees("nav.namespaces a", namespace).await;
    browser.is_unharmed("Mesh · mixerless").await;

    browser.click("svg.graph .node.workload .name").await;
    browser.sees("h2", &format!("{name} in {namespace}")).await;
    browser.is_unharmed(&format!("{name} · mixerless")).await;
    browser.click("header nav a").await;
    browser.click("nav.namespaces a").await;
    browser
        .sees("svg.graph .node.namespace .name", &namespace[..20])
        .await;
    browser.is_unharmed("Mesh · mixerless").await;
    browser.search(name).await;
    browser
        .sees("svg.graph .node.workload .name", &name[..20])
        .await;
    browser.is_unharmed("Mesh · mixerless").await;

    // The picture of its own, opened as one.
    browser.open(&view.url("/graph.svg")).await;
    let name_in_it = "return document.querySelector('.workload .name').textContent";
    assert!(
        browser
            .script(name_in_it)
            .await
            .as_str()
            .unwrap()
            .starts_with("<script>")
    );
    assert_eq!(
        browser
            .script("return document.querySelectorAll('script, img').length")
            .await,
        json!(0)
    );
    let ground = "return getComputedStyle(document.querySelector('.ground')).fill";
    assert_ne!(browser.script(ground).await, json!("rgb(0, 0, 0)"));
    browser.end().await;
}

#[tokio::test]
async fn two_thousand_workloads_are_searched_and_opened_by_namespace() {
    let view = View::start(&["--demo", "2000"]);
    let browser = Browser::start().await;
    browser.open(&view.url("/")).await;
    browser
        .sees("svg.graph .node.namespace .name", "team-39")
        .await;
    let nodes = "return document.querySelectorAll('svg.graph .node').length";
    assert_eq!(browser.script(nodes).await, json!(45));
    browser.search("service-1999").await;
    browser
        .sees("svg.graph .node.workload .name", "service-1999")
        .await;
    browser.sees("table a", "service-0999").await;
    browser.click("svg.graph .node.workload .name").await;
    browser.sees("h2", "service-1999 in team-39").await;

    browser.open(&view.url("/?turn=team-07&turn=team-08")).await;
    // As many as can be drawn of the two, and the others as namespaces.
    browser
        .sees("main", "40 quieter workloads are shown as their namespaces")
        .await;
    browser
        .sees("svg.graph .node.workload .name", "service-0350")
        .await;
    browser.end().await;
}

#[tokio::test]
async fn it_reads_only_and_answers_to_its_own_name_only() {
    let view = View::start(&["--demo", "--host", "mesh.example:8443"]);
    let port = view.address.port();
    let status = async |request: &str| {
        let answer = send_raw(view.address, request.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    };
    let get = async |host: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        status(&request).await.0
    };
    for own in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "mesh.example:8443".to_owned(),
    ] {
        assert_eq!(get(&own).await, 200, "{own}");
    }
    for other in [
        format!("evil.example:{port}"),
        "127.0.0.1".to_owned(),
        "localhost:1".to_owned(),
        format!("127.0.0.1.evil.example:{port}"),
        "mesh.example".to_owned(),
        String::new(),
    ] {
        assert_eq!(get(&other).await, 421, "{other}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(status(&request).await.0, 405, "{method}");
    }
    let request = format!(
        "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    );
    let (missing, answer) = status(&request).await;
    assert_eq!(missing, 404);
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "cache-control: no-store",
    ] {
        assert!(answer.contains(header), "{header}: {answer}");
    }
    assert!(
        !answer.to_lowercase().contains("access-control"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_picture_and_figures_can_be_written_for_a_report() {
    let mesh = Mesh::builder().start().await.unwrap();
    mesh.get("/version").await.unwrap();
    let _traffic = Traffic::to(mesh.outbound.traffic);
    let output = async |format: &str| {
        let mut command = mixerless();
        command.args(["view", "--window", "2s", "--output", format]);
        command
            .args([mesh.inbound.metrics, mesh.outbound.metrics].map(|address| address.to_string()));
        must(command).await
    };
    let figures: Value = serde_json::from_str(&output("json").await).unwrap();
    let call = &figures["calls"][0];
    assert_eq!(
        call["to"],
        json!({ "kind": "workload", "namespace": "test", "name": "podinfo" })
    );
    assert!(
        call["requests_per_second"].as_f64().unwrap() > 1.0,
        "{call}"
    );
    let percent = call["mutual_tls_percent"].as_f64().unwrap();
    assert!((percent - 100.0).abs() < 1e-6, "{call}");
    let svg = output("svg").await;
    assert!(
        svg.starts_with("<svg") && svg.contains(">podinfo<"),
        "{svg}"
    );
}

#[tokio::test]
async fn a_prometheus_is_looked_at_too() {
    let mesh = Mesh::builder().start().await.unwrap();
    mesh.get("/version").await.unwrap();
    let prometheus = Prometheus::start(&[mesh.inbound.metrics, mesh.outbound.metrics]).await;
    prometheus
        .at_least("count(istio_requests_total)", 2.0)
        .await;
    let _traffic = Traffic::to(mesh.outbound.traffic);
    // Of both sides: `min` would pass over one that has no rate yet.
    for metric in [
        "istio_requests_total",
        "istio_request_duration_milliseconds_count",
    ] {
        let both = format!("count(increase({metric}[10s]) > 4)");
        prometheus.at_least(&both, 2.0).await;
    }
    let mut command = mixerless();
    let url = format!("http://{}", prometheus.address);
    command.args([
        "view",
        "--prometheus",
        &url,
        "--window",
        "10s",
        "--output",
        "json",
    ]);
    let figures: Value = serde_json::from_str(&must(command).await).unwrap();
    let calls = figures["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 1, "{figures}");
    for figure in ["requests_per_second", "p99_milliseconds"] {
        assert!(calls[0][figure].as_f64().unwrap() > 0.0, "{figures}");
    }
    let percent = calls[0]["mutual_tls_percent"].as_f64().unwrap();
    assert!((percent - 100.0).abs() < 1e-6, "{figures}");

    drop(prometheus);
    let mut command = mixerless();
    command.args(["view", "--prometheus", &url, "--output", "json"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = texts(&output).1;
    assert!(
        stderr.starts_with("error: --prometheus: no answer from http://"),
        "{stderr}"
    );
}

/// By the rule of WCAG 2: 4.5 to 1 for text, 3 to 1 for what is drawn.
#[test]
fn colours_can_be_told_from_their_ground_in_light_and_in_dark() {
    let style = include_str!("../../src/view/assets/graph.css");
    let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
    for (scheme, style) in [("light", light), ("dark", dark)] {
        for ground in ["--ground", "--box"].map(|name| luminance(style, name)) {
            for (name, least) in [
                ("--text", 4.5),
                ("--quiet", 4.5),
                ("--link", 4.5),
                ("--good", 4.5),
                ("--poor", 4.5),
                ("--bad", 4.5),
                ("--idle", 3.0),
            ] {
                let colour = luminance(style, name);
                let contrast = (colour.max(ground) + 0.05) / (colour.min(ground) + 0.05);
                assert!(contrast >= least, "{scheme}: {name} has {contrast:.2}");
            }
        }
    }
}

/// The relative luminance of a colour that is written as `NAME: #rrggbb`.
fn luminance(style: &str, name: &str) -> f64 {
    let (_, colour) = style.split_once(&format!("{name}: #")).unwrap();
    let channel = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
}

/// `mixerless view` on a free port, until this is dropped.
struct View {
    address: SocketAddr,
    child: Child,
}

impl View {
    fn start(arguments: &[&str]) -> Self {
        let mut command = mixerless();
        command
            .args(["view", "--listen", "127.0.0.1:0"])
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let address = address
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { address, child }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Fails only for a process that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A headless Chromium, driven as by a person.
struct Browser {
    client: Client,
    _driver: Server,
    _profile: TempDir,
}

impl Browser {
    async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        let address = free_port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={}", address.port()));
        let driver = Server::start(&mut driver, &profile.path().join("driver.log")).unwrap();
        let user_data = format!(
            "--user-data-dir={}",
            profile.path().join("profile").display()
        );
        // Without its sandbox, because tests may run as root; it opens nothing but pages of ours.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1400,1000",
            &user_data,
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let client = eventually("a browser", async || {
            let mut builder =
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(options.as_object().unwrap().clone());
            Ok(builder.connect(&format!("http://{address}")).await.ok())
        });
        Self {
            client: client.await.unwrap(),
            _driver: driver,
            _profile: profile,
        }
    }

    async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits until one of these elements has that in its text.
    async fn sees(&self, selector: &str, text: &str) {
        let what = format!("{text:?} in {selector}");
        let script = "return [...document.querySelectorAll(arguments[0])].some(one => one.textContent.includes(arguments[1]))";
        let seen = eventually(&what, async || {
            let seen = self
                .client
                .execute(script, vec![json!(selector), json!(text)])
                .await?;
            Ok((seen == json!(true)).then_some(()))
        });
        if let Err(error) = seen.await {
            let page = self.script("return document.body.innerText").await;
            panic!("{error:#}\n{page}");
        }
    }

    /// Clicks, as with a mouse. Again, if the page was just being replaced.
    async fn click(&self, selector: &str) {
        let clicked = eventually(selector, async || {
            let Ok(element) = self.client.find(Locator::Css(selector)).await else {
                return Ok(None);
            };
            Ok(element.click().await.ok())
        });
        clicked.await.unwrap();
    }

    async fn search(&self, text: &str) {
        let field = self.client.find(Locator::Css("#search")).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(&format!("{text}{ENTER}")).await.unwrap();
    }

    /// Goes on from link to link with the keyboard alone.
    async fn tab_to(&self, selector: &str) {
        let there = "return document.activeElement.closest(arguments[0]) !== null";
        for _ in 0..30 {
            self.press(TAB).await;
            let reached = self.client.execute(there, vec![json!(selector)]).await;
            if reached.unwrap() == json!(true) {
                return;
            }
        }
        panic!("the keyboard does not reach {selector}");
    }

    async fn press(&self, key: char) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(&key.to_string()).await.unwrap();
    }

    async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Nothing of a name has become a part of the page.
    async fn is_unharmed(&self, title: &str) {
        assert_eq!(self.script("return document.title").await, json!(title));
        let scripts = "return [...document.querySelectorAll('script, img, iframe')].map(one => one.getAttribute('src'))";
        assert_eq!(self.script(scripts).await, json!(["/live.js"]));
    }

    async fn end(self) {
        self.client.close().await.unwrap();
    }
}
