//! What Envoy was started with: the proxy's own node, and the metadata of the clusters that are in the
//! bootstrap. The ABI tells of neither, so the module reads the command line of its process and the files
//! that it names, once, when it is loaded.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use stats_core::host::envoy::{Node, NodeLocality, cluster_of};
use stats_core::labels::service::NamedService;
use stats_core::peer::wire::{Kind, List, Struct, StructValue};

/// What is known of the proxy before any request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bootstrap {
    /// Who this proxy is.
    pub node: Node,
    /// The service that the metadata of a cluster names, by the cluster's name.
    pub services: HashMap<String, NamedService>,
}

impl Bootstrap {
    /// That of this process.
    ///
    /// # Errors
    /// Where it cannot be read, with what is wrong.
    pub fn of_this_process() -> Result<Self, String> {
        let command_line = fs::read("/proc/self/cmdline")
            .map_err(|error| format!("cannot read the command line of this process: {error}"))?;
        let arguments: Vec<String> = command_line
            .split(|&byte| byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        Self::of_arguments(&arguments, |path| {
            fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))
        })
    }

    /// That of an Envoy with these arguments, its files read by `read`.
    fn of_arguments(
        arguments: &[String],
        read: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        let mut bootstrap = Value::Null;
        if let Some(path) = option(arguments, &["-c", "--config-path"]) {
            let path = PathBuf::from(path);
            let is_binary = |extension| path.extension().is_some_and(|found| found == extension);
            if is_binary("pb") || is_binary("pb_text") {
                return Err(format!(
                    "{} is a protobuf: give Envoy its bootstrap as JSON or YAML",
                    path.display()
                ));
            }
            let text = read(&path)?;
            bootstrap = yaml_serde::from_str(&text)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(text) = option(arguments, &["--config-yaml"]) {
            let over =
                yaml_serde::from_str(text).map_err(|error| format!("--config-yaml: {error}"))?;
            merge(&mut bootstrap, over);
        }
        let mut node = node(&bootstrap["node"]);
        if let Some(id) = option(arguments, &["--service-node"]) {
            id.clone_into(&mut node.id);
        }
        Ok(Self {
            node,
            services: services(&bootstrap),
        })
    }
}

/// The value of a command line option, by any of its names; the last one counts.
fn option<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut found = None;
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument.split_once('=') {
            Some((name, value)) if names.contains(&name) => found = Some(value),
            _ if names.contains(&argument) => found = arguments.next(),
            _ => {}
        }
    }
    found
}

/// As Envoy merges `--config-yaml` over the file: what is there wins, objects are merged, and lists are joined.
fn merge(bootstrap: &mut Value, over: Value) {
    match (bootstrap, over) {
        (Value::Object(bootstrap), Value::Object(over)) => {
            for (name, value) in over {
                merge(bootstrap.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(bootstrap), Value::Array(over)) => bootstrap.extend(over),
        (bootstrap, over) => *bootstrap = over,
    }
}

fn node(node: &Value) -> Node {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let locality = node["locality"].as_object();
    Node {
        id: text(&node["id"]),
        metadata: node["metadata"].as_object().map(structure),
        locality: locality.map(|_| NodeLocality {
            region: text(&node["locality"]["region"]),
            zone: text(&node["locality"]["zone"]),
        }),
    }
}

fn services(bootstrap: &Value) -> HashMap<String, NamedService> {
    let clusters = bootstrap["static_resources"]["clusters"].as_array();
    let named = clusters.into_iter().flatten().filter_map(|cluster| {
        let istio = cluster["metadata"]["filter_metadata"]["istio"].as_object()?;
        let service = cluster_of(&structure(istio)).service?;
        Some((cluster["name"].as_str()?.to_owned(), service))
    });
    named.collect()
}

fn structure(fields: &Map<String, Value>) -> Struct {
    let fields = fields.iter();
    fields
        .filter_map(|(key, value)| Some((key.as_str(), kind(value)?)))
        .collect()
}

/// As protobuf has it; `None` for numbers and null, which nothing here needs.
fn kind(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::String(text) => Kind::Text(text.clone()),
        Value::Bool(is_true) => Kind::Bool(*is_true),
        Value::Object(fields) => Kind::Struct(structure(fields)),
        Value::Array(values) => Kind::List(List {
            values: values
                .iter()
                .map(|value| StructValue { kind: kind(value) })
                .collect(),
        }),
        Value::Null | Value::Number(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
node:
  id: sidecar~podinfo
  metadata: {NAME: podinfo-0, LABELS: {app: podinfo}, NUMBER: 1}
  locality: {region: eu, zone: eu-1}
static_resources:
  clusters:
  - name: inbound|9898||
    metadata: {filter_metadata: {istio: {services: [{host: podinfo.test.svc, name: podinfo, namespace: test}]}}}
  - name: other
";

    fn of(arguments: &[&str]) -> Result<Bootstrap, String> {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        Bootstrap::of_arguments(&arguments, |path| match path.to_str() {
            Some("envoy.yaml") => Ok(YAML.to_owned()),
            _ => Err("no such file".to_owned()),
        })
    }

    #[test]
    fn the_node_is_that_of_the_file_that_envoy_was_started_with() {
        for arguments in [
            &["envoy", "-c", "envoy.yaml"][..],
            &["envoy", "--config-path=envoy.yaml", "--concurrency", "2"],
        ] {
            let node = of(arguments).unwrap().node;
            let metadata = node.metadata.unwrap();
            assert_eq!(
                (&*node.id, metadata.text("NAME")),
                ("sidecar~podinfo", "podinfo-0")
            );
            assert_eq!(metadata.nested("LABELS").unwrap().text("app"), "podinfo");
            assert_eq!(node.locality.unwrap().zone, "eu-1");
        }
    }

    #[test]
    fn what_the_command_line_says_wins_over_the_file() {
        let over = "node: {metadata: {NAME: other}}";
        let bootstrap = of(&["envoy", "-c", "envoy.yaml", "--config-yaml", over]).unwrap();
        let metadata = bootstrap.node.metadata.unwrap();
        assert_eq!(metadata.text("NAME"), "other");
        assert_eq!(metadata.nested("LABELS").unwrap().text("app"), "podinfo");
        let more = "static_resources: {clusters: [{name: more}]}";
        let joined = of(&["envoy", "-c", "envoy.yaml", "--config-yaml", more]).unwrap();
        assert_eq!(joined.services.len(), 1, "the file's are still there");
        let named = of(&["envoy", "-c", "envoy.yaml", "--service-node", "mine"]).unwrap();
        assert_eq!(named.node.id, "mine");
    }

    #[test]
    fn the_clusters_of_the_file_name_their_services() {
        let services = of(&["envoy", "-c", "envoy.yaml"]).unwrap().services;
        assert_eq!(services.len(), 1);
        assert_eq!(services["inbound|9898||"].host, "podinfo.test.svc");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(
            of(&["envoy", "-c", "gone.yaml"]).unwrap_err(),
            "no such file"
        );
        let error = of(&["envoy", "-c", "envoy.pb"]).unwrap_err();
        assert!(
            error.contains("give Envoy its bootstrap as JSON or YAML"),
            "{error}"
        );
        assert!(
            of(&["envoy", "--config-yaml", "{"])
                .unwrap_err()
                .starts_with("--config-yaml: ")
        );
        assert_eq!(of(&["envoy"]).unwrap(), Bootstrap::default());
    }
}
