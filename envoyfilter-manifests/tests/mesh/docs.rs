//! The pages in `docs/`: their commands run, and what they name exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use envoyfilter_manifests::check::Fault;
use envoyfilter_manifests::istio_version::IstioVersion;
use envoyfilter_manifests::plugin_config::PluginConfig;
use serde_json::Value;
use stats_core::labels::metrics::{HttpMetric, TcpMetric};
use tempfile::TempDir;

use crate::bare_envoy::BareEnvoy;
use crate::support::{IMAGE, SHA256, mixerless, must, parse};

const PAGES: [&str; 5] = [
    "istio.md",
    "envoy-gateway.md",
    "bare-envoy.md",
    "flagger-hpa.md",
    "high-availability.md",
];

#[tokio::test]
async fn the_commands_of_every_page_write_what_the_page_then_applies() {
    for page in PAGES {
        let directory = TempDir::new().unwrap();
        // The output of `mixerless push`.
        let settings = format!("image: {IMAGE}\nsha256: {SHA256}\n");
        fs::write(directory.path().join("mixerless.yaml"), settings).unwrap();

        let commands = commands(&read_page(page));
        let mut applied = 0;
        for command in &commands {
            let words: Vec<&str> = command
                .split_whitespace()
                .take_while(|word| *word != "|")
                .collect();
            match words[..] {
                ["mixerless", "manifests", ref flags @ ..] => {
                    let flags = flags.iter().map(|flag| flag.replace("$PWD", ""));
                    let mut command = mixerless();
                    command
                        .current_dir(directory.path())
                        .arg("manifests")
                        .args(flags);
                    must(command).await;
                }
                ["kubectl", "apply", "-f", "-"] => {}
                ["kubectl", "apply", ref files @ ..] => {
                    for file in files.iter().filter(|file| **file != "-f") {
                        for file in files_below(&directory.path().join(file)) {
                            let objects = parse(&fs::read_to_string(&file).unwrap());
                            assert!(
                                objects.iter().all(|object| object["kind"].is_string()),
                                "{page}: {} is nothing for kubectl",
                                file.display()
                            );
                        }
                    }
                    applied += 1;
                }
                ["helm", ..] => {
                    let file = words.last().unwrap();
                    assert!(directory.path().join(file).is_file(), "{page}: {file}");
                }
                ["envoy", "--config-path", file] => {
                    assert!(directory.path().join(file).is_file(), "{page}: {file}");
                    applied += 1;
                }
                _ => {}
            }
        }
        assert_ne!(
            applied, 0,
            "{page} shows how to apply what it is about: {commands:?}"
        );
    }
}

/// The example of the page about migration: its configuration is one, and says what the page says.
#[test]
fn the_configuration_after_a_migration_is_one() {
    let page = read_page("migration.md");
    let blocks = page.split("```yaml\n").skip(1);
    let configurations: Vec<Value> = blocks
        .map(|block| parse(block.split("```").next().unwrap()).remove(0))
        .filter(|object| object.get("kind").is_none())
        .collect();
    let [configuration] = &configurations[..] else {
        panic!("one configuration: {configurations:?}");
    };
    let plugin = PluginConfig::from_setting(configuration).unwrap();
    assert_eq!(plugin.warnings(), [""; 0]);
    assert!(plugin.custom_labels().contains("request_host"));
    let http = HttpMetric::ALL.map(HttpMetric::name);
    let tcp = TcpMetric::ALL.map(TcpMetric::name);
    for metric in http.iter().chain(&tcp) {
        assert!(page.contains(metric), "{metric}");
    }
}

#[test]
fn every_fault_is_explained_and_in_the_schema() {
    let page = read_page("check.md");
    let schema: Value = serde_json::from_str(&read_page("check.schema.json")).unwrap();
    let finding = "/properties/proxies/items/properties/findings/items/properties";
    let codes = schema.pointer(&format!("{finding}/fault/enum")).unwrap();
    let codes: Vec<&str> = codes
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let known: Vec<String> = Fault::value_variants()
        .iter()
        .map(|fault| fault.name())
        .collect();
    assert_eq!(codes, known);
    for fault in Fault::value_variants() {
        let row = format!("| `{}` | {}", fault.name(), fault.severity().name());
        assert!(page.contains(&row), "{row}");
    }
}

/// The last command of the page about a bare Envoy, on its own bootstrap.
#[tokio::test]
async fn the_walk_with_a_bare_envoy_ends_in_all_is_well() {
    let page = read_page("bare-envoy.md");
    let walk = commands(&page);
    let last = walk
        .iter()
        .find(|line| line.contains("mixerless check"))
        .unwrap();
    let proxy = BareEnvoy::start(|bootstrap| {
        bootstrap
            .as_object_mut()
            .unwrap()
            .remove("stats_flush_interval");
    })
    .await;
    let program = env!("CARGO_BIN_EXE_mixerless");
    let last = last
        .replace("localhost:15006", &proxy.traffic.to_string())
        .replace(
            "mixerless check localhost",
            &format!("{program} check {}", proxy.metrics),
        );
    assert!(last.contains(program), "{last}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &last]);
    let output = must(shell).await;
    assert!(
        output.contains("/stats/prometheus: all is well\n"),
        "{output}"
    );
}

/// The table of Envoys is the list that `cargo xtask matrix` goes through, and the Istios are those that manifests accept.
#[test]
fn the_versions_on_their_page_are_the_tested_ones() {
    let page = read_page("versions.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| 1."));
    let rows = rows.filter_map(|row| row.split_once(" | "));
    let envoys: Vec<String> = rows
        .filter(|(_, what)| what.starts_with("tested |"))
        .map(|(version, _)| version)
        .map(|version| format!("1.{version}"))
        .collect();
    assert_eq!(envoys, harness::ENVOY_VERSIONS);
    assert!(page.contains(&format!("| {} | tested: ", IstioVersion::NEWEST)));
    assert!(page.contains(&format!("| {} to ", IstioVersion::OLDEST)));
}

/// Flags in running text, too, are flags.
#[tokio::test]
async fn every_flag_that_a_page_names_is_one() {
    let mut known = String::new();
    for command in ["manifests", "push", "module", "check", "view"] {
        let mut help = mixerless();
        help.args([command, "--help"]);
        known += &must(help).await;
    }
    let others = [
        "check.md",
        "dashboards.md",
        "migration.md",
        "uninstall.md",
        "view.md",
    ];
    for page in PAGES.into_iter().chain(others) {
        for span in read_page(page).split('`').skip(1).step_by(2) {
            let Some(flag) = span
                .split([' ', '='])
                .next()
                .filter(|word| word.starts_with("--"))
            else {
                continue;
            };
            assert!(known.contains(flag), "{page}: {flag}");
        }
    }
}

/// A page of the documentation.
pub fn read_page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::read_to_string(docs.join(name)).unwrap()
}

/// The lines behind a prompt, each with those that continue it.
pub fn commands(page: &str) -> Vec<String> {
    let joined = page.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("$ "));
    lines.map(ToOwned::to_owned).collect()
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}
