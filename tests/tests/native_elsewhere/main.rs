//! The library for Envoy's dynamic modules in an Envoy of any version: one that is too old says so in one line.
//!
//! Needs an Envoy (`cargo xtask setup`) and the library (`cargo xtask build`).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

use std::process::Command;

use harness::envoy::EnvoyOptions;
use harness::envoy_config::{NativeFilter, http_connection_manager};
use harness::{Client, Envoy, install};
use serde_json::{Value, json};

/// What an Envoy does with the library.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// From 1.40 on: it has all that the library calls.
    Works,
    /// 1.38 and 1.39: it loads the library, which lets traffic pass.
    Passes,
    /// Before: it wants a library that was built with its own header, and does not start with another.
    DoesNotStart,
}

#[tokio::test]
async fn an_envoy_that_is_too_old_says_so_in_one_line() {
    let version = version();
    let expected = match version {
        (1, ..38) => Outcome::DoesNotStart,
        (1, 38..40) => Outcome::Passes,
        _ => Outcome::Works,
    };
    let options = EnvoyOptions {
        modules: Some(install::native_module_directory().unwrap()),
        ..EnvoyOptions::default()
    };

    let envoy = match Envoy::start(&bootstrap(), &options).await {
        Ok(envoy) => envoy,
        Err(error) => {
            assert_eq!(expected, Outcome::DoesNotStart, "{error:?}");
            let error = format!("{error:?}");
            assert!(error.contains("ABI version mismatch"), "{error}");
            return;
        }
    };

    let address = envoy.listener(LISTENER).await.unwrap();
    let mut client = Client::http1(address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    let log = envoy.log().unwrap();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("mixerless:"))
        .collect();
    if expected == Outcome::Works {
        assert!(!log.contains("needs Envoy 1.40"), "{lines:?}");
        return;
    }
    assert_eq!((expected, lines.len()), (Outcome::Passes, 1), "{lines:?}");
    assert!(lines[0].contains("[error]"), "{lines:?}");
    assert!(lines[0].contains("needs Envoy 1.40 or later"), "{lines:?}");
}

const LISTENER: &str = "traffic";

/// One listener that answers by itself, behind the filter.
fn bootstrap() -> Value {
    let routes = json!({ "virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }],
    }] });
    let filter = NativeFilter {
        name: "mixerless",
        role: "",
        configuration: "",
    };
    let filters = [filter.http_filter(), harness::envoy_config::router()];
    json!({ "static_resources": { "listeners": [{
        "name": LISTENER,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [http_connection_manager(LISTENER, &routes, &filters)] }],
    }] } })
}

/// The tested Envoy's version: `PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`.
fn version() -> (u32, u32) {
    let output = Command::new(install::envoy().unwrap())
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.split('/').find_map(|part| {
        let mut numbers = part.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(_))) => Some((major, minor)),
            _ => None,
        }
    });
    numbers.expect("a version")
}
