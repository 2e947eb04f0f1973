//! The settings of `mixerless manifests`: flags, or the same names in a settings file.
//! Not here: defaults and checks, see [`crate::installation`].

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Flags and settings, each of them optional. A flag wins over the file.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    // As `help` and not as documentation, where the addresses would become links.
    #[expect(missing_docs, reason = "see `help`")]
    #[arg(
        long,
        value_name = "URL",
        help = "The module: oci://REGISTRY/REPOSITORY:TAG (or @sha256:…), https://HOST/FILE.wasm, or a file in the proxy's \
                container"
    )]
    pub image: Option<String>,
    /// Checksum that proxies verify: sha256 of the image's manifest for `oci:`, of the file for `https:`; `push` prints both
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
    /// Secret (kubernetes.io/dockerconfigjson) with which Istio pulls the image; not with `--method envoy-filter`
    #[arg(long, value_name = "NAME")]
    pub image_pull_secret: Option<String>,
    /// The module's own configuration: a JSON or YAML file (in the settings file: the configuration itself, or a path)
    #[arg(long, value_name = "FILE", value_parser = file_name)]
    pub plugin_config: Option<Value>,
    /// Platform of the proxies [default: istio]
    #[arg(long, value_enum)]
    pub target: Option<Target>,
    /// Istio's version [default: 1.30]
    #[arg(long, value_name = "MAJOR.MINOR")]
    pub istio_version: Option<String>,
    /// The Istio resource that attaches the module, or its library for any platform [default: envoy-filter]
    #[arg(long, value_enum)]
    pub method: Option<Method>,
    /// Whether Istio's native metrics stay on [default: off]
    #[arg(long, value_enum)]
    pub native: Option<Native>,
    /// Who makes the metrics of TCP connections [default: native]
    #[arg(long, value_enum)]
    pub tcp: Option<Tcp>,
    /// Prefix of our metrics when native ones stay on [default: mixerless]
    #[arg(long, value_name = "WORD")]
    pub stat_prefix: Option<String>,
    /// Istio's root namespace; for Envoy Gateway, the namespace of the gateway [default: istio-system, or default]
    #[arg(long)]
    pub namespace: Option<String>,
    /// The gateway, for `--target envoy-gateway` [default: eg]
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// The deployment to scale and to release by its metrics; without it there is no autoscaler and no canary. For
    /// `--target envoy`, who the proxy is [default there: podinfo]
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
    /// Its namespace [default: test]
    #[arg(long, value_name = "NAME")]
    pub workload_namespace: Option<String>,
    /// The port of its service [default: 9898]
    #[arg(long, value_name = "PORT")]
    pub workload_port: Option<u16>,
    /// Requests per second that one of its pods should serve [default: 10]
    #[arg(long, value_name = "NUMBER")]
    pub requests_per_second: Option<u32>,
    /// URL of Prometheus for Flagger, Kiali and the adapter [default: port 9090 of prometheus.istio-system]
    #[arg(long, value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// How often Prometheus scrapes a proxy [default: 15s]
    #[arg(long, value_name = "DURATION")]
    pub scrape_interval: Option<String>,
    /// A proxy to scrape, for `--target envoy`; may be given again [default: 127.0.0.1:15090]
    #[arg(long = "scrape-target", value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_target: Option<Vec<String>>,
    /// The cluster's name, as a label of what Prometheus stores [default: kubernetes]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

/// The platform of the proxies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// An Istio mesh
    #[default]
    Istio,
    /// Envoy Gateway
    EnvoyGateway,
    /// An Envoy with a bootstrap file
    Envoy,
}

/// The Istio resource that attaches the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `EnvoyFilter`: every version of Istio, one filter for each direction
    EnvoyFilter,
    /// `WasmPlugin`: Istio 1.12 and later; can carry a pull secret
    WasmPlugin,
    /// `TrafficExtension`: Istio 1.30 and later
    TrafficExtension,
    /// The native library, for Envoy 1.40 and later, on every platform
    DynamicModule,
}

/// Whether Istio's native metrics stay on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Native {
    /// Those that the module replaces are turned off
    Off,
    /// All are turned off, TCP ones too; a proxy without Istio's own filters needs that
    AllOff,
    /// They stay; the module's get another prefix
    SideBySide,
}

/// Who makes the metrics of TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tcp {
    /// Istio, as long as its native metrics are not all off
    Native,
    /// The module, in front of `tcp_proxy`: `--method envoy-filter`, Istio 1.20 and later
    Module,
}

impl Settings {
    /// These flags, and the file's values for the others.
    ///
    /// # Errors
    /// When the file cannot be read, is not YAML, or has an unknown name or value.
    pub fn with_file(self, file: &Path) -> Result<Self> {
        let name = file.display();
        let text =
            fs::read_to_string(file).with_context(|| format!("--settings: cannot read {name}"))?;
        let settings: Value = yaml_serde::from_str(&text)
            .with_context(|| format!("--settings: {name} is not YAML"))?;
        let settings = match settings {
            Value::Null => Map::new(),
            Value::Object(settings) => settings,
            _ => bail!(
                "--settings: {name} must have one `name: value` a line, named as the flags are"
            ),
        };
        self.over(settings)
            .with_context(|| format!("--settings: {name} is wrong"))
    }

    fn over(self, mut settings: Map<String, Value>) -> Result<Self> {
        let flags = serde_json::to_value(self)?;
        let given = flags
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null());
        settings.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        Ok(serde_json::from_value(Value::Object(settings))?)
    }
}

/// A flag names a file; a settings file may hold the configuration itself instead.
#[expect(clippy::unnecessary_wraps, reason = "clap needs a Result")]
fn file_name(text: &str) -> Result<Value, std::convert::Infallible> {
    Ok(Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser};
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    fn over(flags: &[&str], file: &Value) -> Result<Settings> {
        let cli = Cli::try_parse_from([&["mixerless"], flags].concat()).unwrap();
        cli.settings.over(file.as_object().unwrap().clone())
    }

    #[test]
    fn each_flag_is_a_setting_of_the_same_name() {
        let command: Command = Cli::command();
        let mut flags: Vec<&str> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .filter(|flag| !matches!(*flag, "help" | "version"))
            .collect();
        let all = Settings {
            scrape_target: Some(Vec::new()),
            ..Settings::default()
        };
        let all = serde_json::to_value(all).unwrap();
        let settings: Vec<&str> = all
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        flags.sort_unstable();
        assert_eq!(flags, settings);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = json!({ "image": "oci://a/b:1", "workload": "web", "scrape-target": ["x:1"] });
        let settings = over(&["--image", "oci://c/d:2"], &file).unwrap();
        assert_eq!(settings.image.as_deref(), Some("oci://c/d:2"));
        assert_eq!(settings.workload.as_deref(), Some("web"));
        assert_eq!(settings.scrape_target.unwrap(), ["x:1"]);
    }

    #[test]
    fn a_setting_that_there_is_not_is_an_error_that_names_it() {
        let error = over(&[], &json!({ "colour": 1 })).unwrap_err().to_string();
        assert!(error.contains("unknown field `colour`"), "{error}");
        let error = over(&[], &json!({ "target": "nomad" }))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`nomad`") && error.contains("`istio`"),
            "{error}"
        );
    }
}
