//! One `EnvoyFilter` for each patch context: inbound and outbound listeners of sidecars, and gateways.
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
use crate::proxy::{Code, WASM_TYPE, wasm};

/// An Envoy filter that lets every request pass, used until the module is loaded and when it cannot be loaded.
const PASS_THROUGH: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// The listeners to which a patch applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatchContext {
    Inbound,
    Outbound,
    Gateway,
}

/// The protocol of the traffic. TCP will be a second variant, with the network filter before `tcp_proxy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Http,
}

const ALL: [(Traffic, PatchContext); 3] = [
    (Traffic::Http, PatchContext::Inbound),
    (Traffic::Http, PatchContext::Outbound),
    (Traffic::Http, PatchContext::Gateway),
];

/// The files and their content.
pub fn documents(installation: &Installation) -> Result<Vec<(String, Document)>> {
    let file = |(traffic, context): (Traffic, PatchContext)| {
        let what = format!("{}-{}", traffic.name(), context.name());
        let document = document(installation, traffic, context, &what)?;
        Ok((format!("envoyfilter-{what}.yaml"), document))
    };
    ALL.into_iter().map(file).collect()
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
        "spec": { "configPatches": [module(installation, context, &name)?, insertion(traffic, context, &name)] },
    });
    let document = Document::new(
        format!(
            "{}\n\
             For proxies of any version from Istio {} on, so that an upgrade loses no metrics.\n\
             In another namespace than the root namespace it would apply to that namespace only.",
            context.about(),
            IstioVersion::OLDEST
        ),
        object,
    )
    .note(
        "applyTo: EXTENSION_CONFIG",
        "The module. Istio's agent fetches it and hands Envoy a local file.",
    )
    .note(
        "fail_open:",
        "No module, or a broken one: requests pass all the same, uncounted.",
    )
    .note(
        "vm_config:",
        "The same in each of these filters: they share one virtual machine per worker.",
    )
    .note("applyTo: HTTP_FILTER", context.about_place())
    .note(
        "initial_fetch_timeout:",
        "A pod never waits longer than this for the module; it starts uncounted instead.",
    );
    Ok(document)
}

fn module(installation: &Installation, context: PatchContext, name: &str) -> Result<Value> {
    let config = plugin_config(installation, context.direction(), context.author())?;
    Ok(json!({
        "applyTo": "EXTENSION_CONFIG",
        "match": { "context": context.name_in_istio() },
        "patch": {
            "operation": "ADD",
            "value": { "name": name, "typed_config": wasm(name, &Code::of(installation), &config) },
        },
    }))
}

fn insertion(traffic: Traffic, context: PatchContext, name: &str) -> Value {
    let discovery = json!({
        "config_source": { "ads": {}, "initial_fetch_timeout": "10s", "resource_api_version": "V3" },
        "default_config": { "@type": PASS_THROUGH },
        "type_urls": [WASM_TYPE, PASS_THROUGH],
    });
    let filter = json!({ "name": traffic.manager(), "subFilter": { "name": context.neighbour() } });
    json!({
        "applyTo": traffic.apply_to(),
        "match": { "context": context.name_in_istio(), "listener": { "filterChain": { "filter": filter } } },
        "patch": { "operation": context.operation(), "value": { "config_discovery": discovery, "name": name } },
    })
}

// === impl Traffic ===

impl Traffic {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
        }
    }

    fn apply_to(self) -> &'static str {
        match self {
            Self::Http => "HTTP_FILTER",
        }
    }

    /// The network filter in which it works.
    fn manager(self) -> &'static str {
        match self {
            Self::Http => "envoy.filters.network.http_connection_manager",
        }
    }
}

// === impl PatchContext ===

impl PatchContext {
    fn name(self) -> &'static str {
        self.direction().name()
    }

    fn name_in_istio(self) -> &'static str {
        match self {
            Self::Inbound => "SIDECAR_INBOUND",
            Self::Outbound => "SIDECAR_OUTBOUND",
            Self::Gateway => "GATEWAY",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Inbound => "What arrives at a workload: series with reporter=\"destination\".",
            Self::Outbound => "What a workload asks of others: series with reporter=\"source\".",
            Self::Gateway => "What gateways pass on: series with reporter=\"source\".",
        }
    }

    fn author(self) -> Author {
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

    fn about_place(self) -> &'static str {
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

    fn direction(self) -> DirectionSetting {
        match self {
            Self::Inbound => DirectionSetting::Inbound,
            Self::Outbound => DirectionSetting::Outbound,
            Self::Gateway => DirectionSetting::Gateway,
        }
    }
}
