//! Probes: whether a container is ready.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
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
    /// None: a container that runs is ready.
    Nothing,
}

impl ReadinessProbe {
    /// The probe of that kind of a container. Probes that run a program in the container are not supported and count as none.
    pub fn of(object: &Value, spec: &Value, kind: &str) -> Self {
        let address = text(object, "/status/podIP");
        let probe = &spec[kind];
        if let Some(http) = probe.get("httpGet") {
            let port = port(spec, &http["port"]);
            let path = text(http, "/path");
            if text(http, "/scheme") == "HTTPS" {
                return Self::at(address, port);
            }
            let url = format!("http://{address}:{port}{path}");
            return Self::Http(agent(LIMIT), url);
        }
        match probe.get("tcpSocket") {
            Some(socket) => Self::at(address, port(spec, &socket["port"])),
            None => Self::Nothing,
        }
    }

    /// Probes once.
    pub fn passes(&self) -> bool {
        match self {
            Self::Http(agent, url) => agent
                .get(url)
                .call()
                .is_ok_and(|response| response.status().is_success()),
            Self::Port(address) => TcpStream::connect_timeout(address, LIMIT).is_ok(),
            Self::Nothing => true,
        }
    }

    fn at(address: &str, port: u64) -> Self {
        match format!("{address}:{port}").parse() {
            Ok(address) => Self::Port(address),
            Err(_) => Self::Nothing,
        }
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
