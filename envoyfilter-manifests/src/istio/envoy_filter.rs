//! One `EnvoyFilter` for each patch context: inbound and outbound listeners of sidecars, and gateways; for requests, and
//! where wanted for TCP connections.
//!
//! Each has two patches: the module with its configuration, which proxies fetch over ECDS, and a filter that points
//! there. This indirection is what lets Istio's agent pull `oci://` and `https://`, and leave Envoy a local file.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use super::{Author, metadata, plugin_config};
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;
use crate::proxy::{Code, HTTP_TYPE, NETWORK_TYPE, wasm};
use crate::settings::Tcp;

/// The listeners to which a patch applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchContext {
    Inbound,
    Outbound,
    Gateway,
}

/// The protocol of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// Requests.
    Http,
    /// Connections that are sent on as they are.
    Tcp,
}

pub(super) const CONTEXTS: [PatchContext; 3] = [
    PatchContext::Inbound,
    PatchContext::Outbound,
    PatchContext::Gateway,
];

/// The files and their content.
pub fn documents(installation: &Installation, tcp: Tcp) -> Result<Vec<(String, Document)>> {
    let traffic: &[Traffic] = match tcp {
        Tcp::Native => &[Traffic::Http],
        Tcp::Module => &[Traffic::Http, Traffic::Tcp],
    };
    let mut files = Vec::new();
    for traffic in traffic {
        for context in CONTEXTS {
            let what = format!("{}-{}", traffic.name(), context.name());
            let document = document(installation, *traffic, context, &what)?;
            files.push((format!("envoyfilter-{what}.yaml"), document));
        }
    }
    Ok(files)
}

fn document(
    installation: &Installation,
    traffic: Traffic,
    context: PatchContext,
    what: &str,
) -> Result<Document> {
    let name = format!("mixerless.{}.{}", traffic.name(), context.name());
    let object = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": metadata(installation, &format!("mixerless-{what}")),
        "spec": { "configPatches": [module(installation, traffic, context, &name)?, insertion(traffic, context, &name)] },
    });
    let document = Document::new(
        format!(
            "{}\n\
             For proxies of any version from Istio {} on, so that an upgrade loses no metrics.\n\
             In another namespace than the root namespace it would apply to that namespace only.",
            context.about(),
            traffic.oldest()
        ),
        object,
    )
    .note(
        "applyTo: EXTENSION_CONFIG",
        "The module. Istio's agent fetches it and hands Envoy a local file.",
    )
    .note(
        "fail_open:",
        format!(
            "No module, or a broken one: {} pass all the same, uncounted.",
            traffic.units()
        ),
    )
    .note(
        "vm_config:",
        "The same in each of these filters: they share one virtual machine per worker.",
    )
    .note(traffic.apply_to_field(), traffic.about_place(context))
    .note(
        "initial_fetch_timeout:",
        "A pod never waits longer than this for the module; it starts uncounted instead.",
    );
    Ok(document)
}

fn module(
    installation: &Installation,
    traffic: Traffic,
    context: PatchContext,
    name: &str,
) -> Result<Value> {
    let config = plugin_config(installation, context.direction(), context.author())?;
    let code = Code::of(installation);
    Ok(json!({
        "applyTo": "EXTENSION_CONFIG",
        "match": { "context": context.name_in_istio() },
        "patch": {
            "operation": "ADD",
            "value": { "name": name, "typed_config": wasm(traffic.filter_type(), name, &code, &config) },
        },
    }))
}

/// The patch that puts a filter into its place in a listener for requests.
pub(super) fn http_insertion(context: PatchContext, filter: &Value) -> Value {
    let manager = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "subFilter": { "name": context.neighbour() },
    });
    patch(
        Traffic::Http,
        context,
        &manager,
        context.operation(),
        filter,
    )
}

fn insertion(traffic: Traffic, context: PatchContext, name: &str) -> Value {
    let discovery = json!({
        "config_source": { "ads": {}, "initial_fetch_timeout": "10s", "resource_api_version": "V3" },
        "default_config": traffic.pass_through(name),
        "type_urls": [traffic.filter_type(), traffic.pass_through_type()],
    });
    let filter = json!({ "config_discovery": discovery, "name": name });
    match traffic {
        Traffic::Http => http_insertion(context, &filter),
        Traffic::Tcp => {
            let proxy = json!({ "name": "envoy.filters.network.tcp_proxy" });
            patch(traffic, context, &proxy, "INSERT_BEFORE", &filter)
        }
    }
}

fn patch(
    traffic: Traffic,
    context: PatchContext,
    beside: &Value,
    operation: &str,
    filter: &Value,
) -> Value {
    json!({
        "applyTo": traffic.apply_to(),
        "match": { "context": context.name_in_istio(), "listener": { "filterChain": { "filter": beside } } },
        "patch": { "operation": operation, "value": filter },
    })
}

// === impl Traffic ===

impl Traffic {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    /// What is counted.
    fn units(self) -> &'static str {
        match self {
            Self::Http => "requests",
            Self::Tcp => "connections",
        }
    }

    /// The oldest version of Istio whose agent fetches the module for such a filter.
    fn oldest(self) -> IstioVersion {
        match self {
            Self::Http => IstioVersion::OLDEST,
            Self::Tcp => IstioVersion::FIRST_WITH_NETWORK_MODULES,
        }
    }

    fn apply_to(self) -> &'static str {
        match self {
            Self::Http => "HTTP_FILTER",
            Self::Tcp => "NETWORK_FILTER",
        }
    }

    fn apply_to_field(self) -> &'static str {
        match self {
            Self::Http => "applyTo: HTTP_FILTER",
            Self::Tcp => "applyTo: NETWORK_FILTER",
        }
    }

    fn about_place(self, context: PatchContext) -> &'static str {
        match self {
            Self::Http => context.about_place(),
            Self::Tcp => {
                "The filter, last before tcp_proxy: behind Istio's own exchange of metadata, which it asks for the peer, and\n\
                 behind authorization. HTTP has no tcp_proxy, so that no request counts as a connection."
            }
        }
    }

    fn filter_type(self) -> &'static str {
        match self {
            Self::Http => HTTP_TYPE,
            Self::Tcp => NETWORK_TYPE,
        }
    }

    /// The type of an Envoy filter that lets everything pass, used until the module is loaded and when it cannot be
    /// loaded.
    fn pass_through_type(self) -> &'static str {
        match self {
            Self::Http => "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            Self::Tcp => "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
        }
    }

    /// The configuration of that filter. The one for connections must name its statistics.
    fn pass_through(self, name: &str) -> Value {
        let mut config = json!({ "@type": self.pass_through_type() });
        if self == Self::Tcp {
            config["stat_prefix"] = json!(name);
        }
        config
    }
}

// === impl PatchContext ===

impl PatchContext {
    pub(super) fn name(self) -> &'static str {
        self.direction().name()
    }

    fn name_in_istio(self) -> &'static str {
        match self {
            Self::Inbound => "SIDECAR_INBOUND",
            Self::Outbound => "SIDECAR_OUTBOUND",
            Self::Gateway => "GATEWAY",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Inbound => "What arrives at a workload: series with reporter=\"destination\".",
            Self::Outbound => "What a workload asks of others: series with reporter=\"source\".",
            Self::Gateway => "What gateways pass on: series with reporter=\"source\".",
        }
    }

    pub(super) fn author(self) -> Author {
        match self {
            Self::Outbound => Author::Application,
            Self::Inbound | Self::Gateway => Author::Client,
        }
    }

    /// The filter beside which the module stands.
    ///
    /// An inbound listener that ends the tunnels of an ambient mesh has a router too, but none of Istio's filters for
    /// requests: before the router, each tunnel would count as a request.
    fn neighbour(self) -> &'static str {
        match self {
            Self::Inbound => "envoy.filters.http.cors",
            Self::Outbound | Self::Gateway => "envoy.filters.http.router",
        }
    }

    fn operation(self) -> &'static str {
        match self {
            Self::Inbound => "INSERT_AFTER",
            Self::Outbound | Self::Gateway => "INSERT_BEFORE",
        }
    }

    pub(super) fn about_place(self) -> &'static str {
        match self {
            Self::Inbound => {
                "The filter, behind the last of Istio's own that decide about a request. Not simply before the router: the\n\
                 listener that ends HBONE tunnels has one as well, and each tunnel would count as a request."
            }
            Self::Outbound | Self::Gateway => {
                "The filter, last before the router, so that it sees what the others decided."
            }
        }
    }

    pub(super) fn direction(self) -> DirectionSetting {
        match self {
            Self::Inbound => DirectionSetting::Inbound,
            Self::Outbound => DirectionSetting::Outbound,
            Self::Gateway => DirectionSetting::Gateway,
        }
    }
}
