//! `cargo xtask demo`: podinfo calls podinfo through two real sidecars, and their metrics pages are shown and checked.
//! Not here: how a page is shown, see `show`; what has to be on it, see `check`; a connection instead of requests, see `tcp`.

mod check;
mod page;
mod show;
mod tcp;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use harness::{Mesh, Page, Response, Sidecar};
use stats_core::labels::Reporter;
use tokio::runtime::Runtime;

use self::page::MeshPage;
use self::tcp::TcpReport;
use crate::check::Check;
use crate::module::Verbosity;
use crate::stop::Stop;
use crate::toolchain::Toolchain;
use crate::{envoy, module, paths, setup, steps};

/// The options of the demo.
#[derive(clap::Args)]
pub struct DemoOptions {
    /// Leave everything running until Ctrl-C, with more requests and a page that shows them
    #[arg(long)]
    keep: bool,
}

/// How many requests are sent.
const REQUESTS: u32 = 10;

/// Where Istio's sidecars serve `/stats/prometheus`.
const METRICS_PORT: u16 = 15090;

/// The inbound sidecar in the output.
const APPLICATIONS: &str = "the application's sidecar";
/// The outbound sidecar in the output.
const CLIENTS: &str = "the client's sidecar";

/// Runs the demo.
pub fn run(options: &DemoOptions) -> Result<()> {
    let started = Instant::now();
    prepare()?;
    let mut session = Session::new()?;
    let mesh = session.start_mesh()?;
    let responses = session.send_requests(&mesh)?;
    let reports = session.read_pages(&mesh)?;
    let connection = session.connect()?;

    for report in &reports {
        show::report(report);
    }
    connection.show();
    let mut checks: Vec<Check> = reports.iter().flat_map(check::report).collect();
    checks.extend(check::exchange(&mesh, &responses));
    checks.extend(connection.checks());
    println!();
    checks.iter().for_each(Check::print);
    println!("\n{:.1} s in all", started.elapsed().as_secs_f32());

    if options.keep {
        let page = session.show_page(&mesh)?;
        show::what_to_try(&mesh, &page.address);
        session.wait();
        drop((page, mesh));
        println!("\nstopped; both Envoys and the page are gone");
    }
    let failed = checks.iter().filter(|check| check.result.is_err()).count();
    ensure!(failed == 0, "{failed} of {} checks failed", checks.len());
    Ok(())
}

/// One sidecar and what it reported.
struct SidecarReport {
    reporter: Reporter,
    /// Its name in the output.
    sidecar: &'static str,
    address: String,
    page: Page,
}

impl SidecarReport {
    async fn of(reporter: Reporter, name: &'static str, sidecar: &Sidecar) -> Result<Self> {
        let page = sidecar.page_after(REQUESTS).await;
        Ok(Self {
            reporter,
            sidecar: name,
            address: sidecar.metrics.to_string(),
            page: page.with_context(|| format!("{name} does not report all requests"))?,
        })
    }
}

/// Finds or makes the newest Envoy and the module.
fn prepare() -> Result<()> {
    let mut envoys = envoy::choose(&[])?;
    envoys.truncate(1);
    setup::run(&envoys)?;
    let started = Instant::now();
    module::build(&Toolchain::ensure_silently()?, Verbosity::Normal)?;
    // Not `paths::module()`: the module that runs may be another one, named by a variable.
    let module = paths::shown(&harness::install::module()?);
    let seconds = started.elapsed().as_secs_f32();
    steps::present(&format!("{module} ({seconds:.1} s)"));
    Ok(())
}

/// The steps of the demo: each can be interrupted, and then leaves nothing running.
struct Session {
    runtime: Runtime,
    stop: Stop,
}

impl Session {
    fn new() -> Result<Self> {
        let runtime = Runtime::new()?;
        let stop = runtime.block_on(async { Stop::new() })?;
        Ok(Self { runtime, stop })
    }

    fn start_mesh(&mut self) -> Result<Mesh> {
        let inbound = metrics_port(Ipv4Addr::LOCALHOST)?;
        // An address of its own for the client, as its pod would have one.
        let outbound = metrics_port(Ipv4Addr::new(127, 0, 0, 2))?;
        let (at_inbound, at_outbound) = (inbound.local_addr()?, outbound.local_addr()?);
        drop((inbound, outbound));
        let mesh = Mesh::builder()
            .inbound(|sidecar| sidecar.metrics(at_inbound))
            .outbound(|sidecar| sidecar.metrics(at_outbound));
        let thing = "an application, its sidecar and a client's, with mutual TLS";
        self.step(thing, "starting", mesh.start())
    }

    fn send_requests(&mut self, mesh: &Mesh) -> Result<Vec<Response>> {
        let thing = format!("{REQUESTS} requests from podinfo to podinfo");
        self.step(&thing, "sending", async {
            let mut client = mesh.client().await?;
            let mut responses = Vec::new();
            for _ in 0..REQUESTS {
                responses.push(client.get("/version").await?);
            }
            Ok(responses)
        })
    }

    fn read_pages(&mut self, mesh: &Mesh) -> Result<[SidecarReport; 2]> {
        let how = "waiting until Envoy has merged its histograms";
        self.step("both metrics pages", how, async {
            Ok([
                SidecarReport::of(Reporter::Destination, APPLICATIONS, &mesh.inbound).await?,
                SidecarReport::of(Reporter::Source, CLIENTS, &mesh.outbound).await?,
            ])
        })
    }

    fn connect(&mut self) -> Result<TcpReport> {
        let thing = "a TCP connection from podinfo to podinfo";
        let how = "starting two sidecars for it";
        self.step(thing, how, TcpReport::make())
    }

    fn show_page(&mut self, mesh: &Mesh) -> Result<MeshPage> {
        println!();
        let runtime = &self.runtime;
        steps::bring("the page of both", "building it", || {
            MeshPage::start(runtime, mesh)
        })
    }

    /// Waits until the demo is to stop.
    fn wait(&mut self) {
        self.runtime.block_on(self.stop.asked_or_left());
    }

    fn step<T>(
        &mut self,
        thing: &str,
        how: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Self { runtime, stop } = self;
        let work = async {
            tokio::select! {
                done = work => done,
                () = stop.asked() => bail!("interrupted; nothing is left running"),
            }
        };
        steps::bring(thing, how, || runtime.block_on(work))
    }
}

/// Reserves the metrics port at an address for Envoy; if it is not free, the next free port, with a message.
fn metrics_port(address: Ipv4Addr) -> Result<TcpListener> {
    let refused = match TcpListener::bind((address, METRICS_PORT)) {
        Ok(port) => return Ok(port),
        Err(error) => error,
    };
    let mut ports = METRICS_PORT + 1..=u16::MAX;
    let next = ports.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let next = next.with_context(|| format!("no port is free from {METRICS_PORT} up"))?;
    let why = match refused.kind() {
        io::ErrorKind::AddrInUse => "is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "is no address of this system".to_owned(),
        _ => format!("cannot be had ({refused})"),
    };
    let instead = next.local_addr()?;
    eprintln!("  --  {address}:{METRICS_PORT} {why}; metrics are at {instead} instead");
    Ok(next)
}
