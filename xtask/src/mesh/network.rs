//! The cluster's network: one namespace for the node, which this program is in, and one for each pod.
//!
//! A veth pair connects each pod with the node, and the pod's only route leads there. All traffic between pods therefore
//! passes the node's routing, where kube-proxy's rules translate addresses of services into those of pods.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

use crate::process::capture;

/// The node: the API server, DNS and the registry listen here.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Where pods' addresses come from.
pub const PODS: &str = "10.244.0.0/16";
/// Where services' addresses come from.
pub const SERVICES: &str = "10.96.0.0/16";
/// The service of the API server: the first address of [`SERVICES`].
pub const API_SERVICE: &str = "10.96.0.1";

/// A pod's network namespace; it is removed when the value is dropped.
#[derive(Debug)]
pub struct PodNetwork {
    name: String,
    address: Ipv4Addr,
}

/// Gives the node its address, and a default route that leads nowhere.
pub fn make_node() -> Result<()> {
    ip("link set lo up")?;
    ip(&format!("addr add {NODE}/32 dev lo"))?;
    // The kernel looks for a route to a service's address before the address is translated.
    ip("link add outside type bridge")?;
    ip("link set outside up")?;
    ip(&format!("route add default dev outside src {NODE}"))?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot let the node forward")
}

impl PodNetwork {
    /// A namespace with the next free address.
    pub fn make() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(2);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [high, low] = (number).to_be_bytes();
        let network = Self {
            name: format!("pod{number}"),
            address: Ipv4Addr::new(10, 244, high, low),
        };
        network.connect()?;
        Ok(network)
    }

    /// Where it is reached.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// `program`, to be run in this namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg("--")
            .arg(program);
        command
    }

    fn connect(&self) -> Result<()> {
        let Self { name, address } = self;
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {name} type veth peer name eth0 netns {name}"
        ))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("route add {address}/32 dev {name}"))?;
        let inside = |words: &str| ip(&format!("-n {name} {words}"));
        inside("link set lo up")?;
        inside(&format!("addr add {address}/32 dev eth0"))?;
        inside("link set eth0 up")?;
        inside(&format!("route add {NODE} dev eth0"))?;
        inside(&format!("route add default via {NODE}"))?;
        // As container runtimes set it: a gateway that is not root may listen on port 80.
        capture(self.command("sh").args([
            "-c",
            "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start",
        ]))?;
        Ok(())
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // Removing the link removes its other end and its route.
        let _ = ip(&format!("link delete {}", self.name));
        let _ = ip(&format!("netns delete {}", self.name));
    }
}

fn ip(words: &str) -> Result<()> {
    capture(Command::new("ip").args(words.split(' '))).map(drop)
}
