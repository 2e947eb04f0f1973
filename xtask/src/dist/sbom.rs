//! The list of what a release consists of, for programs: `CycloneDX` 1.5 in JSON.

use anyhow::Result;
use serde_json::{Value, json};

use super::VERSION;
use super::dependencies::{LinkedCrate, LinkedCrates};

/// The document. It has neither a date nor a serial number, so that it is the same for the same crates.
pub fn cyclonedx(crates: &LinkedCrates) -> Result<String> {
    let release = format!("mixerless@{VERSION}");
    let components: Vec<Value> = crates
        .0
        .iter()
        .map(|(purl, linked)| component(purl, linked))
        .collect();
    let ours = crates
        .0
        .iter()
        .filter(|(_, linked)| linked.package.source.is_none());
    let ours: Vec<&String> = ours.map(|(purl, _)| purl).collect();
    let mut dependencies = vec![json!({ "ref": release, "dependsOn": ours })];
    dependencies.extend(
        crates
            .0
            .iter()
            .map(|(purl, linked)| json!({ "ref": purl, "dependsOn": linked.uses })),
    );
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": release,
                "name": "mixerless",
                "version": VERSION,
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn component(purl: &str, linked: &LinkedCrate) -> Value {
    let package = &linked.package;
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name.as_str(),
        "version": package.version.to_string(),
        "purl": purl,
    });
    if let Some(licence) = &package.license {
        component["licenses"] = json!([{ "expression": expression(licence) }]);
    }
    component
}

/// Older crates write `MIT/Apache-2.0`.
pub fn expression(licence: &str) -> String {
    licence
        .split('/')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_form_of_two_licences_becomes_an_expression() {
        assert_eq!(expression("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(expression("MIT / Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(expression("(A OR B) AND C"), "(A OR B) AND C");
    }

    #[test]
    fn every_reference_is_to_a_component() {
        let crates = LinkedCrates::read(&super::super::target()).unwrap();
        let document: Value = serde_json::from_str(&cyclonedx(&crates).unwrap()).unwrap();
        let components = document["components"].as_array().unwrap();
        let known: Vec<&Value> = components.iter().map(|part| &part["bom-ref"]).collect();
        for dependency in document["dependencies"].as_array().unwrap() {
            for used in dependency["dependsOn"].as_array().unwrap() {
                assert!(known.contains(&used), "{used}");
            }
        }
        let named = |name: &str| components.iter().any(|part| part["name"] == name);
        assert!(named("oci-client") && named("stats-core") && named("hashbrown"));
        // Only tests use these.
        assert!(!named("harness") && !named("proptest"));
    }
}
