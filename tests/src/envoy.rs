//! One Envoy process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::client::{Client, Response};
use crate::{eventually, install};

/// Envoy's admin endpoint, as a configuration names it: relative to the directory in which the process runs.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// What goes on Envoy's command line.
#[derive(Clone, Debug)]
pub struct EnvoyOptions {
    /// Worker threads.
    pub concurrency: u32,
    /// As in `--log-level`; `warning,wasm:debug` also works.
    pub log_level: String,
    /// Files that are there when it starts, by name.
    pub files: Vec<(String, Value)>,
    /// Where Envoy looks for dynamic modules.
    pub modules: Option<PathBuf>,
    /// The hook in which a module for tests panics.
    pub panics_in: Option<&'static str>,
}

impl Default for EnvoyOptions {
    fn default() -> Self {
        Self {
            concurrency: 1,
            log_level: "info".to_owned(),
            files: Vec::new(),
            modules: None,
            panics_in: None,
        }
    }
}

/// A running Envoy; dropping it stops the process.
#[derive(Debug)]
pub struct Envoy {
    process: Child,
    directory: TempDir,
}

impl Envoy {
    /// Runs the installed Envoy (see [`install::envoy`]) with a bootstrap configuration, and returns once it is live.
    ///
    /// The admin section is added here: a socket in the process's own directory, so that two Envoys never share one.
    ///
    /// # Errors
    /// When there is no Envoy, or it does not start; the error then holds the end of its log.
    pub async fn start(bootstrap: &Value, options: &EnvoyOptions) -> Result<Self> {
        let mut bootstrap = bootstrap.clone();
        bootstrap["admin"] = json!({ "address": { "pipe": { "path": ADMIN_SOCKET } } });
        let mut envoy = Self::spawn(&bootstrap, options)?;
        eventually("Envoy is live", async || envoy.live().await)
            .await
            .with_context(|| {
                format!(
                    "Envoy did not start; its log ends with:\n{}",
                    envoy.end_of_log()
                )
            })?;
        Ok(envoy)
    }

    /// GET on the admin endpoint, for example `/stats?filter=wasm`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn admin_get(&self, path: &str) -> Result<Response> {
        Client::unix(&self.admin_socket()).await?.get(path).await
    }

    /// POST on the admin endpoint, for example `/logging?wasm=debug`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn admin_post(&self, path: &str) -> Result<Response> {
        Client::unix(&self.admin_socket()).await?.post(path).await
    }

    /// The address at which a listener was bound, by the listener's name.
    ///
    /// # Errors
    /// When there is no such listener, or its address is not an IP address.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        let answer = self.admin_get("/listeners?format=json").await?;
        let listeners: Value =
            serde_json::from_slice(&answer.body).context("Envoy's list of listeners")?;
        let socket = listeners["listener_statuses"]
            .as_array()
            .and_then(|statuses| statuses.iter().find(|status| status["name"] == name))
            .map(|status| &status["local_address"]["socket_address"])
            .with_context(|| format!("no listener {name} in {listeners}"))?;
        let address = format!(
            "{}:{}",
            socket["address"].as_str().unwrap_or_default(),
            socket["port_value"]
        );
        address
            .parse()
            .with_context(|| format!("the address of listener {name}: {address}"))
    }

    /// What Envoy logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.file(LOG)
    }

    /// What is in a file that Envoy writes to its directory, for example an access log.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn file(&self, name: &str) -> Result<String> {
        let path = self.directory.path().join(name);
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Replaces a file in Envoy's directory by renaming another one over it, which is the event that Envoy watches.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace_file(&self, name: &str, content: &Value) -> Result<()> {
        let file = NamedTempFile::new_in(self.directory.path())?;
        serde_json::to_writer_pretty(file.as_file(), content)?;
        file.persist(self.directory.path().join(name))?;
        Ok(())
    }

    /// The operating system's id of the process, for example to read its CPU time.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn spawn(bootstrap: &Value, options: &EnvoyOptions) -> Result<Self> {
        let binary = install::envoy()?;
        let directory = TempDir::with_prefix("envoy-")?;
        fs::write(
            directory.path().join(CONFIGURATION),
            serde_json::to_vec_pretty(bootstrap)?,
        )?;
        for (name, content) in &options.files {
            fs::write(
                directory.path().join(name),
                serde_json::to_vec_pretty(content)?,
            )?;
        }
        let mut command = Command::new(&binary);
        if let Some(modules) = &options.modules {
            command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", modules);
        }
        if let Some(hook) = options.panics_in {
            command.env("MIXERLESS_PANIC", hook);
        }
        let process = command
            .args(["--config-path", CONFIGURATION, "--disable-hot-restart"])
            .args(["--concurrency", &options.concurrency.to_string()])
            .args(["--log-level", &options.log_level])
            .args(["--file-flush-interval-msec", "100"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join(LOG))?)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        Ok(Self { process, directory })
    }

    async fn live(&mut self) -> Result<Option<()>> {
        if let Some(status) = self.process.try_wait()? {
            bail!("{status}");
        }
        // No answer yet is not an error: the admin endpoint needs some time to start.
        let ready = self.admin_get("/ready").await;
        Ok(ready.is_ok_and(|answer| answer.status == 200).then_some(()))
    }

    fn admin_socket(&self) -> PathBuf {
        self.directory.path().join(ADMIN_SOCKET)
    }

    fn end_of_log(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_OF_LOG)..].join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Fails only for a process that is already gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const CONFIGURATION: &str = "envoy.json";
const LOG: &str = "envoy.log";
const LINES_OF_LOG: usize = 20;
