//! Probes: whether a container is ready.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use super::api::agent;
use super::object::{list, text};

const LIMIT: Duration = Duration::from_secs(1);

/// A probe.
#[derive(Debug)]
pub enum ReadinessProbe {
    /// A request that has to succeed.
    Http(Agent, String),
    /// A port, which has to be open.
    Port(SocketAddr),
    /// A program that has to succeed in the container within that time: the container's specification with the
    /// program's command line in place of its own.
    Program(Value, Duration),
    /// None: a container that runs is ready.
    Nothing,
}

impl ReadinessProbe {
    /// The probe of that kind of a container. A probe that this command cannot do is an error.
    pub fn of(object: &Value, spec: &Value, kind: &str) -> Result<Self> {
        let address = text(object, "/status/podIP");
        let Some(probe) = spec.get(kind) else {
            return Ok(Self::Nothing);
        };
        if let Some(http) = probe.get("httpGet") {
            let port = port(spec, &http["port"]);
            let path = text(http, "/path");
            if text(http, "/scheme") == "HTTPS" {
                return Self::at(address, port);
            }
            let url = format!("http://{address}:{port}{path}");
            return Ok(Self::Http(agent(LIMIT), url));
        }
        if let Some(socket) = probe.get("tcpSocket") {
            return Self::at(address, port(spec, &socket["port"]));
        }
        if let Some(exec) = probe.get("exec") {
            let mut program = spec.clone();
            program["command"] = exec["command"].clone();
            program["args"] = json!([]);
            let limit = probe["timeoutSeconds"].as_u64();
            let limit = limit.map_or(LIMIT, Duration::from_secs);
            return Ok(Self::Program(program, limit));
        }
        bail!(
            "the {kind} of {} is none that the mesh command can do: httpGet, tcpSocket, exec",
            text(spec, "/name")
        )
    }

    /// Probes once. `run` runs a program in the container and says whether it succeeded in time.
    pub fn passes(&self, run: impl Fn(&Value, Duration) -> bool) -> bool {
        match self {
            Self::Http(agent, url) => agent
                .get(url)
                .call()
                .is_ok_and(|response| response.status().is_success()),
            Self::Port(address) => TcpStream::connect_timeout(address, LIMIT).is_ok(),
            Self::Program(program, limit) => run(program, *limit),
            Self::Nothing => true,
        }
    }

    fn at(address: &str, port: u64) -> Result<Self> {
        let address = format!("{address}:{port}");
        let parsed = address.parse().map(Self::Port);
        parsed.with_context(|| format!("{address} cannot be probed"))
    }
}

/// A port, which may be given by the name that the container has for it.
fn port(spec: &Value, port: &Value) -> u64 {
    let named = || {
        let mut ports = list(spec, "/ports");
        let named = ports.find(|known| Some(text(known, "/name")) == port.as_str());
        named.and_then(|port| port["containerPort"].as_u64())
    };
    port.as_u64().or_else(named).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_to_succeed_in_place_of_the_containers_own() {
        let spec = json!({
            "name": "app", "args": ["--serve"],
            "readinessProbe": { "exec": { "command": ["check", "it"] }, "timeoutSeconds": 5 },
        });
        let probe = ReadinessProbe::of(&json!({}), &spec, "readinessProbe").unwrap();
        let asked = |program: &Value, limit: Duration| {
            program["command"] == json!(["check", "it"])
                && program["args"] == json!([])
                && limit == Duration::from_secs(5)
        };
        assert!(probe.passes(asked));
        assert!(!probe.passes(|_, _| false));
    }

    #[test]
    fn a_probe_of_another_kind_does_not_pass_for_none() {
        let spec = json!({ "name": "app", "readinessProbe": { "grpc": { "port": 9 } } });
        let error = ReadinessProbe::of(&json!({}), &spec, "readinessProbe").unwrap_err();
        assert!(error.to_string().starts_with("the readinessProbe of app"));
    }
}
