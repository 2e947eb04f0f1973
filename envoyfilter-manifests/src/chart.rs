//! A Helm chart of what is applied to a cluster, made from the same objects as the files: settings that are words in them become
//! the chart's values, under the same names.
//!
//! Settings that decide which objects there are, such as the method, are fixed when the chart is made. Its schema of values refuses
//! others, so that one settings file serves both commands.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::bundle::{Bundle, Document};
use crate::installation::{Installation, Platform};
use crate::manifests;
use crate::module_source::ModuleSource;
use crate::settings::Settings;

/// The directories with objects for a cluster.
const APPLIED: [&str; 2] = ["istio/", "envoy-gateway/"];

/// Words that stand for values until the objects are text. They consist of digits, so that YAML quotes them wherever
/// a value might be taken for something else than text.
const NAMESPACE: &str = "70010700107001070010";
const GATEWAY: &str = "70020700207002070020";
const SECRET: &str = "70030700307003070030";
const SHA256: &str = "7004070040700407004070040700407004070040700407004070040700407004";
const IMAGE: &str = "chart.invalid/mixerless:0";
const FILE: &str = "/chart.invalid/mixerless.wasm";

/// A setting that is a value of the chart.
struct ChartValue {
    name: &'static str,
    /// The word in the objects, and what stands there in a template.
    words: Vec<(String, String)>,
    value: String,
    /// What Helm accepts.
    pattern: &'static str,
}

/// The chart for these settings.
///
/// # Errors
/// When a setting is wrong, as [`Installation::new`]; for a platform without a cluster; or without a checksum of the module.
pub fn chart(settings: &Settings) -> Result<Bundle> {
    let installation = Installation::new(settings)?;
    let values = values(&installation)?;
    let objects = manifests::generate(&Installation::new(&with_words(settings, &installation))?)?;
    let mut chart = Bundle::default();
    chart.yaml("Chart.yaml", &[about()])?;
    chart.yaml("values.yaml", &[given(&installation, settings, &values)?])?;
    let schema = serde_json::to_string_pretty(&schema(&installation, settings, &values)?)?;
    chart.text("values.schema.json", format!("{schema}\n"));
    for file in objects.files() {
        let Some(name) = APPLIED
            .iter()
            .find_map(|applied| file.path.strip_prefix(applied))
        else {
            continue;
        };
        // Nothing of ours is a template yet.
        let mut text = file.text.replace("{{", "{{ \"{{\" }}");
        for (word, action) in values.iter().flat_map(|value| &value.words) {
            text = text.replace(word, action);
        }
        chart.text(&format!("templates/{name}"), text);
    }
    Ok(chart)
}

fn about() -> Document {
    Document::new(
        "helm upgrade --install mixerless DIRECTORY --namespace NAMESPACE --values mixerless.yaml",
        json!({
            "apiVersion": "v2",
            "appVersion": env!("CARGO_PKG_VERSION"),
            "description": "Istio's metrics from a Wasm module: what attaches it to the proxies.",
            "name": "mixerless",
            "type": "application",
            "version": env!("CARGO_PKG_VERSION"),
        }),
    )
}

/// The settings with words in the place of values.
fn with_words(settings: &Settings, installation: &Installation) -> Settings {
    let image = match installation.source {
        ModuleSource::Oci { .. } => format!("oci://{IMAGE}"),
        ModuleSource::Http { .. } => format!("https://{IMAGE}"),
        ModuleSource::File { .. } => FILE.to_owned(),
    };
    let gateway = matches!(installation.platform, Platform::EnvoyGateway { .. });
    Settings {
        image: Some(image),
        sha256: installation.sha256.as_ref().map(|_| SHA256.to_owned()),
        image_pull_secret: settings
            .image_pull_secret
            .as_ref()
            .map(|_| SECRET.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        gateway: gateway.then(|| GATEWAY.to_owned()),
        ..settings.clone()
    }
}

fn values(installation: &Installation) -> Result<Vec<ChartValue>> {
    const NAME: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
    let value = |name, word: &str, value: &str, pattern| ChartValue {
        name,
        words: vec![(word.to_owned(), action(name))],
        value: value.to_owned(),
        pattern,
    };
    let mut values = vec![
        image(&installation.source),
        value("namespace", NAMESPACE, &installation.namespace, NAME),
    ];
    match &installation.platform {
        Platform::Istio { .. } => {}
        Platform::EnvoyGateway { gateway } => values.push(value("gateway", GATEWAY, gateway, NAME)),
        Platform::Envoy { .. } => {
            bail!("--chart is for a cluster: with `--target envoy`, write files instead")
        }
    }
    match (&installation.sha256, &installation.source) {
        (Some(sha256), _) => values.push(value("sha256", SHA256, sha256, "^[0-9a-f]{64}$")),
        (None, ModuleSource::File { .. }) => {}
        (None, _) => {
            bail!("--chart needs --sha256, as `mixerless push` prints it: it is one of its values")
        }
    }
    if let Some(secret) = &installation.image_pull_secret {
        values.push(value("image-pull-secret", SECRET, secret, NAME));
    }
    Ok(values)
}

/// The image, which some objects have without its scheme.
fn image(source: &ModuleSource) -> ChartValue {
    let (word, scheme, pattern) = match source {
        ModuleSource::Oci { .. } => (IMAGE, "oci://", "^oci://[A-Za-z0-9._:/@-]+$"),
        ModuleSource::Http { .. } => (IMAGE, "https://", "^https?://[A-Za-z0-9._:/@%?=&~-]+$"),
        ModuleSource::File { .. } => (FILE, "file://", "^(file://)?/[A-Za-z0-9._:/@-]+$"),
    };
    let without = format!("{{{{ trimPrefix \"{scheme}\" .Values.image }}}}");
    let mut words = vec![(word.to_owned(), without)];
    if !matches!(source, ModuleSource::File { .. }) {
        words.insert(0, (format!("{scheme}{word}"), action("image")));
    }
    ChartValue {
        name: "image",
        words,
        value: source.url(),
        pattern,
    }
}

fn action(name: &str) -> String {
    if name.contains('-') {
        format!("{{{{ index .Values \"{name}\" }}}}")
    } else {
        format!("{{{{ .Values.{name} }}}}")
    }
}

/// The settings that are fixed, as far as they were given or have a default.
fn fixed(installation: &Installation, settings: &Settings) -> Result<Map<String, Value>> {
    let given = |value: &Option<String>| value.as_ref().map_or(Value::Null, |text| json!(text));
    let plugin = settings.plugin_config.as_ref();
    let mut fixed = json!({
        "target": serde_json::to_value(settings.target.unwrap_or_default())?,
        "plugin-config": plugin.map_or(Value::Null, |_| installation.plugin.to_value()),
        "stat-prefix": given(&settings.stat_prefix),
    });
    match installation.platform {
        Platform::Istio {
            version,
            method,
            native,
            tcp,
        } => {
            fixed["istio-version"] = json!(version.to_string());
            fixed["method"] = serde_json::to_value(method)?;
            fixed["native"] = serde_json::to_value(native)?;
            fixed["tcp"] = serde_json::to_value(tcp)?;
        }
        // The gateway tells its peers where it is.
        Platform::EnvoyGateway { .. } => fixed["cluster"] = json!(installation.cluster),
        Platform::Envoy { .. } => {}
    }
    Ok(fixed.as_object().cloned().unwrap_or_default())
}

/// `values.yaml`.
fn given(
    installation: &Installation,
    settings: &Settings,
    values: &[ChartValue],
) -> Result<Document> {
    let mut all: Map<String, Value> = fixed(installation, settings)?;
    all.retain(|_, value| !value.is_null());
    let names: Vec<&str> = values.iter().map(|value| value.name).collect();
    all.extend(
        values
            .iter()
            .map(|value| (value.name.to_owned(), json!(value.value))),
    );
    Ok(Document::new(
        format!(
            "The settings of `mixerless manifests`. To be changed here: {}. The others are fixed: they decide which objects there\n\
             are, and take a new chart.",
            names.join(", ")
        ),
        Value::Object(all),
    ))
}

/// `values.schema.json`: what Helm refuses.
fn schema(
    installation: &Installation,
    settings: &Settings,
    values: &[ChartValue],
) -> Result<Value> {
    // Settings of what is not in the chart may be there, and change nothing.
    let all = serde_json::to_value(Settings::default())?;
    let mut properties: Map<String, Value> = all
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(|name| (name.clone(), json!({})))
        .collect();
    properties.insert("scrape-target".to_owned(), json!({}));
    for (name, value) in fixed(installation, settings)? {
        let allowed = match value.as_str() {
            // As Helm reads the word without quotes.
            Some("off") => json!({ "enum": ["off", false] }),
            _ if value.is_null() => json!(false),
            _ => json!({ "const": value }),
        };
        properties.insert(name, allowed);
    }
    for name in ["image-pull-secret", "gateway", "sha256"] {
        properties.insert(name.to_owned(), json!(false));
    }
    for value in values {
        let allowed = json!({ "pattern": value.pattern, "type": "string" });
        properties.insert(value.name.to_owned(), allowed);
    }
    let required: Vec<&str> = values.iter().map(|value| value.name).collect();
    Ok(json!({
        "$schema": "https://json-schema.org/draft-07/schema#",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
        "type": "object",
    }))
}
