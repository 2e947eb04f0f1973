//! Every generated object against the schema of its kind.
//!
//! `schemas/istio.yaml` is what is needed of Istio's resource definitions, made strict: a field that is not in a schema is
//! an error, where Kubernetes would drop it silently. Where the definitions themselves lie beside the repository,
//! they are compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::support::{IMAGE, SHA256, manifests, objects, parse};

/// Schemas by `apiVersion` and `kind`.
type Schemas = BTreeMap<String, Value>;

/// Istio's kinds that are generated.
const KINDS: [&str; 4] = ["EnvoyFilter", "Telemetry", "TrafficExtension", "WasmPlugin"];
/// Parts of them that never are.
const UNUSED: [&str; 3] = ["accessLogging", "lua", "tracing"];

#[test]
fn istio_objects_are_valid() {
    validate_all(&committed());
}

#[test]
fn istio_objects_are_valid_by_istios_own_definitions() {
    let Some(definitions) = definitions() else {
        // Nothing to compare with; the committed copy of the facts is what counts then.
        return;
    };
    let schemas = condense(&definitions);
    validate_all(&schemas);
    let text = yaml_serde::to_string(&schemas).unwrap();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(file("istio.yaml"), &text).unwrap();
    }
    assert_eq!(
        committed(),
        schemas,
        "schemas/istio.yaml is out of date: run this test with UPDATE_SCHEMAS=1"
    );
}

/// Kubernetes' own kinds by its types; Flagger's, KEDA's, Envoy Gateway's and the Prometheus Operator's by `schemas/others.yaml`.
#[test]
fn all_other_objects_are_valid() {
    let others = read("others.yaml");
    let mut kinds = BTreeSet::new();
    for settings in [
        json!({ "image": IMAGE, "workload": "podinfo" }),
        json!({ "image": IMAGE, "sha256": SHA256, "target": "envoy-gateway" }),
        json!({ "image": "https://files.example/mixerless.wasm", "sha256": SHA256, "target": "envoy-gateway" }),
        json!({ "image": IMAGE, "target": "envoy-gateway", "method": "dynamic-module" }),
        json!({ "image": "/usr/lib/libmixerless.so", "target": "envoy-gateway", "method": "dynamic-module" }),
        json!({ "image": IMAGE, "method": "dynamic-module" }),
    ] {
        let bundle = manifests(settings);
        let files = bundle
            .files()
            .iter()
            .filter(|file| !file.path.starts_with("istio/"));
        for file in files.filter(|file| file.text.contains("\nkind: ")) {
            for object in parse(&file.text) {
                let kind = object["kind"].as_str().unwrap();
                let understood = understood(kind, &object).transpose().unwrap();
                match understood {
                    Some(understood) => assert_eq!(understood, object, "{}", file.path),
                    None => assert_eq!(complaint(&others, &object), None, "{}", file.path),
                }
                kinds.insert(kind.to_owned());
            }
        }
    }
    let expected = [
        "Canary",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "EnvoyExtensionPolicy",
        "EnvoyProxy",
        "HorizontalPodAutoscaler",
        "Kustomization",
        "MetricTemplate",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    ];
    assert!(kinds.iter().eq(expected), "{kinds:?}");
}

/// An object of Kubernetes' own after a round trip through its types, which drop unknown fields.
fn understood(kind: &str, object: &Value) -> Option<serde_json::Result<Value>> {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> serde_json::Result<Value> {
        serde_json::to_value(T::deserialize(object)?)
    }
    let through = match kind {
        "ClusterRole" => through::<ClusterRole>,
        "ClusterRoleBinding" => through::<ClusterRoleBinding>,
        "ConfigMap" => through::<ConfigMap>,
        "Deployment" => through::<Deployment>,
        "HorizontalPodAutoscaler" => through::<HorizontalPodAutoscaler>,
        "Service" => through::<Service>,
        "ServiceAccount" => through::<ServiceAccount>,
        "StatefulSet" => through::<StatefulSet>,
        _ => return None,
    };
    Some(through(object))
}

#[test]
fn a_field_or_a_value_that_there_is_not_is_noticed() {
    let schemas = committed();
    let bundle = manifests(json!({ "image": IMAGE }));
    let good = objects(&bundle, "istio/envoyfilter-http-inbound.yaml").remove(0);
    for (pointer, value) in [
        ("/spec/colour", json!(1)),
        ("/spec/configPatches/0/applyTo", json!("EVERYTHING")),
        (
            "/spec/configPatches/1/match/listener/filterChain/filter/subfilter",
            json!({}),
        ),
        ("/spec/configPatches/1/patch/operation", json!(3)),
    ] {
        let mut bad = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value;
        assert!(complaint(&schemas, &bad).is_some(), "{pointer}");
    }
}

fn validate_all(schemas: &Schemas) {
    let mut kinds = Vec::new();
    for settings in [
        json!({ "image": IMAGE, "sha256": SHA256 }),
        json!({ "image": IMAGE, "sha256": SHA256, "tcp": "module" }),
        json!({ "image": "/etc/mixerless.wasm", "istio-version": "1.17" }),
        json!({ "image": IMAGE, "method": "wasm-plugin", "image-pull-secret": "registry", "native": "side-by-side" }),
        json!({ "image": IMAGE, "method": "wasm-plugin", "istio-version": "1.15" }),
        json!({ "image": IMAGE, "sha256": SHA256, "method": "traffic-extension" }),
        json!({ "image": IMAGE, "method": "dynamic-module" }),
    ] {
        let bundle = manifests(settings);
        for file in bundle
            .files()
            .iter()
            .filter(|file| file.path.starts_with("istio/"))
        {
            for object in parse(&file.text) {
                assert_eq!(complaint(schemas, &object), None, "{}", file.path);
                kinds.push(object["kind"].as_str().unwrap().to_owned());
                // A round trip through YAML changes nothing.
                let again = parse(&yaml_serde::to_string(&object).unwrap());
                assert_eq!(again, [object]);
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, KINDS);
}

fn complaint(schemas: &Schemas, object: &Value) -> Option<String> {
    let key = format!(
        "{} {}",
        object["apiVersion"].as_str()?,
        object["kind"].as_str()?
    );
    let Some(schema) = schemas.get(&key) else {
        return Some(format!("no schema for {key}"));
    };
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    (!errors.is_empty()).then(|| errors.join("\n"))
}

fn committed() -> Schemas {
    read("istio.yaml")
}

fn read(name: &str) -> Schemas {
    yaml_serde::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mesh/schemas")
        .join(name)
}

fn definitions() -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/istio/crds.yaml");
    fs::read_to_string(file).ok()
}

/// The schemas of the kinds that are used, without prose, and strict.
fn condense(definitions: &str) -> Schemas {
    let mut schemas = Schemas::new();
    for definition in parse(definitions) {
        let spec = &definition["spec"];
        let kind = spec["names"]["kind"].as_str().unwrap();
        if !KINDS.contains(&kind) {
            continue;
        }
        for version in spec["versions"].as_array().unwrap() {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            let properties = schema["properties"].as_object_mut().unwrap();
            properties.remove("status");
            properties.insert("apiVersion".to_owned(), json!({ "type": "string" }));
            properties.insert("kind".to_owned(), json!({ "type": "string" }));
            properties.insert(
                "metadata".to_owned(),
                json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }),
            );
            let key = format!(
                "{}/{} {kind}",
                spec["group"].as_str().unwrap(),
                version["name"].as_str().unwrap()
            );
            schemas.insert(key, strict(schema));
        }
    }
    schemas
}

fn strict(schema: Value) -> Value {
    match schema {
        Value::Array(items) => Value::Array(items.into_iter().map(strict).collect()),
        Value::Object(fields) => Value::Object(strict_object(fields)),
        other => other,
    }
}

fn strict_object(fields: Map<String, Value>) -> Map<String, Value> {
    let open = fields.contains_key("x-kubernetes-preserve-unknown-fields")
        || fields.contains_key("additionalProperties");
    let mut strict_fields = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            // A property may well be called description.
            ("properties", Value::Object(properties)) => Value::Object(
                properties
                    .into_iter()
                    .filter(|(name, _)| !UNUSED.contains(&name.as_str()))
                    .map(|(name, schema)| (name, strict(schema)))
                    .collect(),
            ),
            ("description" | "format" | "nullable", _) => continue,
            (name, _) if name.starts_with("x-kubernetes-") => continue,
            (_, value) => strict(value),
        };
        strict_fields.insert(name, value);
    }
    if strict_fields.contains_key("properties") && !open {
        strict_fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    strict_fields
}
