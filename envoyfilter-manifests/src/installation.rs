//! An installation: the settings of `mixerless manifests`, checked and with defaults filled in.

mod source;

use anyhow::{Result, ensure};
use serde_json::json;
use stats_core::labels::metrics::PREFIX;

use crate::istio_version::IstioVersion;
use crate::module_source::ModuleSource;
use crate::plugin_config::PluginConfig;
use crate::settings::{Method, Native, Settings, Target, Tcp};
use crate::values::{duration, name, prometheus_url};

/// Everything on which the generated files depend.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The source from which proxies load the module.
    pub source: ModuleSource,
    /// The checksum that they verify: the manifest's digest for an image, the file's for a web server.
    pub sha256: Option<String>,
    /// The secret with which Istio pulls the image.
    pub image_pull_secret: Option<String>,
    /// The form in which proxies load it.
    pub form: ModuleForm,
    /// The module's configuration.
    pub plugin: PluginConfig,
    /// The platform of the proxies, with its own settings.
    pub platform: Platform,
    /// The namespace of the mesh's or the gateway's resources.
    pub namespace: String,
    /// The workload behind a bare Envoy, and the one that is scaled and released by its metrics.
    pub workload: ScaledWorkload,
    /// Whether it is to be scaled and released: only a workload that was named.
    pub scales: bool,
    /// The URL of Prometheus for the readers.
    pub prometheus_url: String,
    /// How often it scrapes.
    pub scrape_interval: String,
    /// The cluster's name.
    pub cluster: String,
}

/// The form in which proxies load the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleForm {
    /// WebAssembly.
    Wasm,
    /// The library, by Envoy's dynamic modules.
    Library,
}

/// The platform of the proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// An Istio mesh.
    Istio {
        /// Its version.
        version: IstioVersion,
        /// The resource that attaches the module.
        method: Method,
        /// Whether native metrics stay on.
        native: Native,
        /// Who makes the metrics of TCP connections.
        tcp: Tcp,
    },
    /// Envoy Gateway.
    EnvoyGateway {
        /// The `Gateway` resource.
        gateway: String,
    },
    /// An Envoy with a bootstrap file.
    Envoy {
        /// The addresses of the proxies for Prometheus.
        scrape_targets: Vec<String>,
    },
}

/// A deployment with a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaledWorkload {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service's port.
    pub port: u16,
    /// The target load of one pod.
    pub requests_per_second: u32,
}

impl Installation {
    /// Checks settings and fills in defaults.
    ///
    /// # Errors
    /// On the first setting that is wrong or contradicts another; the error names it and has an instruction.
    pub fn new(settings: &Settings) -> Result<Self> {
        let platform = platform(settings)?;
        let form = match settings.method {
            Some(Method::DynamicModule) => ModuleForm::Library,
            _ => ModuleForm::Wasm,
        };
        let source = source::find(settings, &platform, form)?;
        let namespace = match platform {
            Platform::EnvoyGateway { .. } => "default",
            Platform::Istio { .. } | Platform::Envoy { .. } => "istio-system",
        };
        Ok(Self {
            sha256: source::checksum(settings, &source)?,
            source,
            form,
            image_pull_secret: settings.image_pull_secret.clone(),
            plugin: plugin(settings, &platform)?,
            workload: workload(settings, &platform)?,
            scales: settings.workload.is_some(),
            platform,
            namespace: name("--namespace", settings.namespace.as_deref(), namespace)?,
            prometheus_url: prometheus_url(settings.prometheus_url.as_deref())?,
            scrape_interval: duration(settings.scrape_interval.as_deref().unwrap_or("15s"))?,
            cluster: name("--cluster", settings.cluster.as_deref(), "kubernetes")?,
        })
    }

    /// Whether anybody counts TCP connections under the names that readers ask for: the module, or Istio.
    pub fn counts_tcp(&self) -> bool {
        match self.platform {
            Platform::Istio { native, tcp, .. } => native == Native::Off || tcp == Tcp::Module,
            Platform::EnvoyGateway { .. } => false,
            Platform::Envoy { .. } => true,
        }
    }
}

fn platform(settings: &Settings) -> Result<Platform> {
    let target = settings.target.unwrap_or(Target::Istio);
    let reject = |given: bool, flag: &str, wanted: &str| {
        ensure!(
            !given,
            "{flag} is for `--target {wanted}` only: leave it out"
        );
        Ok(())
    };
    if target != Target::Istio {
        reject(settings.istio_version.is_some(), "--istio-version", "istio")?;
        let attaches_wasm = settings
            .method
            .is_some_and(|method| method != Method::DynamicModule);
        reject(attaches_wasm, "--method", "istio")?;
        reject(settings.native.is_some(), "--native", "istio")?;
        reject(settings.tcp.is_some(), "--tcp", "istio")?;
        reject(settings.stat_prefix.is_some(), "--stat-prefix", "istio")?;
        reject(
            settings.image_pull_secret.is_some(),
            "--image-pull-secret",
            "istio",
        )?;
    }
    if target != Target::EnvoyGateway {
        reject(settings.gateway.is_some(), "--gateway", "envoy-gateway")?;
    }
    if target != Target::Envoy {
        reject(settings.scrape_target.is_some(), "--scrape-target", "envoy")?;
    }
    Ok(match target {
        Target::Istio => istio(settings)?,
        Target::EnvoyGateway => Platform::EnvoyGateway {
            gateway: name("--gateway", settings.gateway.as_deref(), "eg")?,
        },
        Target::Envoy => Platform::Envoy {
            scrape_targets: settings
                .scrape_target
                .clone()
                .unwrap_or_else(|| vec!["127.0.0.1:15090".to_owned()]),
        },
    })
}

fn istio(settings: &Settings) -> Result<Platform> {
    let method = settings.method.unwrap_or(Method::EnvoyFilter);
    let version = match &settings.istio_version {
        Some(version) => version.parse()?,
        None if method == Method::DynamicModule => IstioVersion::FIRST_WITH_NATIVE_ABI,
        None => IstioVersion::DEFAULT,
    };
    ensure!(
        method != Method::DynamicModule || version >= IstioVersion::FIRST_WITH_NATIVE_ABI,
        "--method dynamic-module needs Istio {} or later, whose Envoy is 1.40, and --istio-version is {version}: use \
         `--method envoy-filter`",
        IstioVersion::FIRST_WITH_NATIVE_ABI
    );
    ensure!(
        method != Method::TrafficExtension || version.has_traffic_extension(),
        "--method traffic-extension needs Istio 1.30 or later, and --istio-version is {version}: use `--method wasm-plugin`"
    );
    ensure!(
        matches!(method, Method::WasmPlugin | Method::TrafficExtension)
            || settings.image_pull_secret.is_none(),
        "--image-pull-secret does not work with `--method envoy-filter` or `dynamic-module`, which cannot carry it: use \
         `--method wasm-plugin`; a library's volume is pulled with the pod's own secrets"
    );
    let native = settings.native.unwrap_or(Native::Off);
    ensure!(
        native == Native::SideBySide || settings.stat_prefix.is_none(),
        "--stat-prefix is for `--native side-by-side`: dashboards know the metrics as istio_*"
    );
    let tcp = settings.tcp.unwrap_or(Tcp::Native);
    ensure!(
        tcp == Tcp::Native || method == Method::EnvoyFilter,
        "--tcp module needs `--method envoy-filter`: the other resources attach the module to requests only"
    );
    ensure!(
        tcp == Tcp::Native || version.has_network_modules(),
        "--tcp module needs Istio {} or later, and --istio-version is {version}: leave it out",
        IstioVersion::FIRST_WITH_NETWORK_MODULES
    );
    Ok(Platform::Istio {
        version,
        method,
        native,
        tcp,
    })
}

fn plugin(settings: &Settings, platform: &Platform) -> Result<PluginConfig> {
    let plugin = match &settings.plugin_config {
        Some(setting) => PluginConfig::from_setting(setting)?,
        None => PluginConfig::default(),
    };
    let Platform::Istio {
        native: Native::SideBySide,
        ..
    } = platform
    else {
        return Ok(plugin);
    };
    let plugin = plugin.with_default(
        "stat_prefix",
        "statPrefix",
        json!(settings.stat_prefix.as_deref().unwrap_or("mixerless")),
    )?;
    ensure!(
        settings
            .stat_prefix
            .as_ref()
            .is_none_or(|prefix| plugin.prefix() == format!("{prefix}_")),
        "--stat-prefix: the plugin configuration says another: leave one of them out"
    );
    ensure!(
        plugin.prefix() != format!("{PREFIX}_"),
        "--stat-prefix: {PREFIX} is what the native metrics begin with: choose another word"
    );
    Ok(plugin)
}

fn workload(settings: &Settings, platform: &Platform) -> Result<ScaledWorkload> {
    if settings.workload.is_none() && !matches!(platform, Platform::Envoy { .. }) {
        for (given, flag) in [
            (
                settings.workload_namespace.is_some(),
                "--workload-namespace",
            ),
            (settings.workload_port.is_some(), "--workload-port"),
            (
                settings.requests_per_second.is_some(),
                "--requests-per-second",
            ),
        ] {
            ensure!(
                !given,
                "{flag} is of the workload that --workload names: add that, or leave {flag} out"
            );
        }
    }
    let requests_per_second = settings.requests_per_second.unwrap_or(10);
    ensure!(
        requests_per_second > 0,
        "--requests-per-second: a pod has to serve at least 1"
    );
    Ok(ScaledWorkload {
        name: name("--workload", settings.workload.as_deref(), "podinfo")?,
        namespace: name(
            "--workload-namespace",
            settings.workload_namespace.as_deref(),
            "test",
        )?,
        port: settings.workload_port.unwrap_or(9898),
        requests_per_second,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const IMAGE: &str = "oci://registry.example/mixerless:1";

    fn installation(settings: &Value) -> Result<Installation> {
        Installation::new(&serde_json::from_value(settings.clone()).unwrap())
    }

    #[test]
    fn a_pinned_image_needs_no_sha256_of_its_own() {
        let digest = "ab".repeat(32);
        let image = format!("oci://registry.example/mixerless@sha256:{digest}");
        let installation = installation(&json!({ "image": image })).unwrap();
        assert_eq!(installation.sha256.unwrap(), digest);
    }

    #[test]
    fn each_mistake_is_one_error_that_names_the_flag_and_says_what_to_do() {
        let pinned = format!(
            "oci://registry.example/mixerless@sha256:{}",
            "ab".repeat(32)
        );
        let cases = [
            (json!({}), "--image is missing"),
            (
                json!({ "image": IMAGE, "sha256": "12" }),
                "--sha256: 12 is no sha256",
            ),
            (
                json!({ "image": pinned, "sha256": "cd".repeat(32) }),
                "one of them is wrong",
            ),
            (
                json!({ "image": "/a.wasm", "sha256": "cd".repeat(32) }),
                "leave it out",
            ),
            (json!({ "image": IMAGE, "target": "envoy" }), "cannot pull"),
            (
                json!({ "image": "/a.wasm", "target": "envoy-gateway" }),
                "does not take files",
            ),
            (
                json!({ "image": "/a.wasm", "target": "envoy", "method": "wasm-plugin" }),
                "--method is for",
            ),
            (
                json!({ "image": "https://a/b.so", "method": "dynamic-module" }),
                "nothing fetches https://a/b.so",
            ),
            (
                json!({ "image": "/a.wasm", "target": "envoy", "method": "dynamic-module" }),
                "/a.wasm is no library",
            ),
            (
                json!({ "image": IMAGE, "istio-version": "1.30", "method": "dynamic-module" }),
                "needs Istio 1.31",
            ),
            (
                json!({ "image": IMAGE, "gateway": "eg" }),
                "--gateway is for",
            ),
            (
                json!({ "image": IMAGE, "istio-version": "1.29", "method": "traffic-extension" }),
                "--method wasm-plugin",
            ),
            (
                json!({ "image": IMAGE, "image-pull-secret": "s" }),
                "--method wasm-plugin",
            ),
            (
                json!({ "image": IMAGE, "tcp": "module", "method": "wasm-plugin" }),
                "needs `--method envoy-filter`",
            ),
            (
                json!({ "image": IMAGE, "tcp": "module", "istio-version": "1.19" }),
                "--tcp module needs Istio 1.20",
            ),
            (
                json!({ "image": "/a.wasm", "target": "envoy", "tcp": "module" }),
                "--tcp is for",
            ),
            (
                json!({ "image": IMAGE, "stat-prefix": "x" }),
                "--native side-by-side",
            ),
            (
                json!({ "image": IMAGE, "native": "side-by-side", "stat-prefix": "istio" }),
                "choose another word",
            ),
            (
                json!({ "image": IMAGE, "workload": "a\"b" }),
                "--workload: ",
            ),
            (
                json!({ "image": IMAGE, "scrape-interval": "soon" }),
                "--scrape-interval: ",
            ),
            (
                json!({ "image": IMAGE, "workload": "web", "requests-per-second": 0 }),
                "--requests-per-second: a pod",
            ),
            (
                json!({ "image": IMAGE, "workload-port": 80 }),
                "--workload-port is of the workload",
            ),
        ];
        for (settings, expected) in cases {
            let error = installation(&settings).unwrap_err().to_string();
            assert!(error.starts_with("--"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
