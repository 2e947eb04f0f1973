//! The page of `mixerless view` beside a demo that is kept running, and some traffic to look at.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::Mesh;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::cargo::cargo;
use crate::paths;
use crate::process::{capture, line};

/// Where the page is served, unless something else is there.
const ADDRESSES: [&str; 2] = ["127.0.0.1:15080", "127.0.0.1:0"];
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(500);

/// The page's process and the traffic; both end when this is dropped.
pub struct MeshPage {
    /// Its address in a browser.
    pub address: String,
    program: Child,
    traffic: AbortHandle,
}

impl MeshPage {
    /// Builds the program and starts it for both sidecars.
    pub fn start(runtime: &Runtime, mesh: &Mesh) -> Result<Self> {
        capture(cargo("build").args(["--quiet", "--package", "envoyfilter-manifests"]))?;
        let [usual, free] = ADDRESSES;
        let (program, address) = serve(usual, mesh).or_else(|_| serve(free, mesh))?;
        let outbound = mesh.outbound.traffic;
        let traffic = async move {
            loop {
                if let Ok(mut client) = harness::Client::http1(outbound).await {
                    while client.get("/version").await.is_ok() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        Ok(Self {
            address,
            program,
            traffic: runtime.spawn(traffic).abort_handle(),
        })
    }
}

/// Starts the program, and reads from it where it serves.
fn serve(listen: &str, mesh: &Mesh) -> Result<(Child, String)> {
    let mut command = Command::new(paths::mixerless());
    command
        .args(["view", "--listen", listen])
        .args([mesh.inbound.metrics, mesh.outbound.metrics].map(|address| address.to_string()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let what = line(&command);
    let mut program = command.spawn().with_context(|| what.clone())?;
    let mut address = String::new();
    if let Some(output) = program.stdout.take() {
        BufReader::new(output).read_line(&mut address)?;
    }
    if address.is_empty() {
        program.wait()?;
    }
    ensure!(!address.is_empty(), "`{what}` serves no page");
    Ok((program, address.trim().to_owned()))
}

impl Drop for MeshPage {
    fn drop(&mut self) {
        self.traffic.abort();
        // Fails only for a process that is already gone.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
