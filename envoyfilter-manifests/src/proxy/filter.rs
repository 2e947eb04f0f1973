//! The module as an HTTP filter, and as a network filter.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use super::library::library;
use crate::installation::{Installation, ModuleForm};
use crate::plugin_config::PluginConfig;

/// The type of the configuration of a filter for requests.
pub const HTTP_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/// The type of the configuration of a filter for connections.
pub const NETWORK_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm";

/// The source of the virtual machine's code.
#[derive(Clone, Debug, PartialEq)]
pub enum Code {
    /// A file.
    Local {
        /// Its path.
        path: String,
    },
    /// A URL that istio-agent fetches, and replaces with the path of a local file for Envoy.
    Agent {
        /// `oci://` or `https://`.
        url: String,
        /// The checksum that the agent verifies.
        sha256: Option<String>,
    },
}

impl Code {
    /// The code of an installation's module.
    pub fn of(installation: &Installation) -> Self {
        use crate::module_source::ModuleSource::{File, Http, Oci};
        match &installation.source {
            File { path } => Self::Local { path: path.clone() },
            Oci { .. } | Http { .. } => Self::Agent {
                url: installation.source.url(),
                sha256: installation.sha256.clone(),
            },
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Local { path } => json!({ "local": { "filename": path } }),
            Self::Agent { url, sha256 } => {
                // The agent needs no cluster to fetch through, but the field may not be empty.
                let uri = json!({ "cluster": "_", "timeout": "30s", "uri": url });
                let mut remote = json!({ "http_uri": uri });
                if let Some(sha256) = sha256 {
                    remote["sha256"] = json!(sha256);
                }
                json!({ "remote": remote })
            }
        }
    }
}

/// The `typed_config` of a filter of one of these types.
///
/// All of them share one virtual machine per worker: its id, runtime and code are the same. `fail_open` and not the newer
/// `failure_policy`, because Istio's agent looks at no other when it cannot fetch.
pub fn wasm(filter_type: &str, name: &str, code: &Code, plugin: &PluginConfig) -> Value {
    json!({
        "@type": filter_type,
        "config": {
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": plugin.to_json(),
            },
            "fail_open": true,
            "name": name,
            "vm_config": {
                "code": code.to_value(),
                "runtime": "envoy.wasm.runtime.v8",
                "vm_id": "mixerless",
            },
        },
    })
}

/// The filter of a bare Envoy's inbound listener, as an element of `http_filters`; belongs right before the router.
///
/// # Errors
/// When the module would refuse its direction.
pub fn inbound_filter(installation: &Installation) -> Result<Value> {
    let name = "mixerless.http.inbound";
    let config = installation
        .plugin
        .in_direction(DirectionSetting::Inbound)?;
    let typed_config = match installation.form {
        ModuleForm::Wasm => wasm(HTTP_TYPE, name, &Code::of(installation), &config),
        ModuleForm::Library => library(installation, &config),
    };
    Ok(json!({ "name": name, "typed_config": typed_config }))
}
