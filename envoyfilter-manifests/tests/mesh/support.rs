//! Running `mixerless` and other programs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output};

use anyhow::{Context, Result};
use envoyfilter_manifests::bundle::Bundle;
use envoyfilter_manifests::installation::Installation;
use envoyfilter_manifests::manifests::generate;
use envoyfilter_manifests::output::OutputPlan;
use serde_json::Value;

/// The settings after a push of the module to a registry.
pub const IMAGE: &str = "oci://registry.example/mesh/mixerless:1.0";
pub const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// The files for these settings.
pub fn manifests(settings: Value) -> Bundle {
    let settings = serde_json::from_value(settings).unwrap();
    generate(&Installation::new(&settings).unwrap()).unwrap()
}

/// Writes files into a directory.
pub fn write(bundle: &Bundle, directory: &Path) {
    OutputPlan::new(bundle, directory).unwrap().apply().unwrap();
}

/// The objects of a YAML file.
pub fn objects(bundle: &Bundle, path: &str) -> Vec<Value> {
    let file = bundle.files().iter().find(|file| file.path == path);
    let text = &file.unwrap_or_else(|| panic!("no file {path}")).text;
    parse(text)
}

/// The objects of YAML text.
pub fn parse(text: &str) -> Vec<Value> {
    yaml_serde::Deserializer::from_str(text)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}

/// The command itself, to be given arguments.
pub fn mixerless() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mixerless"))
}

/// Runs a program to its end, in a thread that may block.
pub async fn run(mut command: Command) -> Output {
    let what = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    output.unwrap_or_else(|error| {
        panic!("{what}: {error}; `cargo xtask setup` installs what tests need")
    })
}

/// Runs a program that must succeed; returns what it printed.
pub async fn must(command: Command) -> String {
    let what = format!("{command:?}");
    let output = run(command).await;
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{what}\n{out}{err}");
    out
}

/// Standard output and standard error of a program.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A program that runs until this is dropped.
pub struct Server(Child);

impl Server {
    /// Starts it; its output goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let what = format!("{command:?}");
        let child = command
            .stdout(std::fs::File::create(log)?)
            .stderr(std::fs::File::create(log)?)
            .spawn();
        let child = child
            .with_context(|| format!("{what}; `cargo xtask setup` installs what tests need"))?;
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only for a process that is already gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now, for programs that cannot choose and report one.
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
