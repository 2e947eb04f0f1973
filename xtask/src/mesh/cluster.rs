//! Kubernetes without containers: etcd, the API server, the controllers, the scheduler, kube-proxy and DNS, each the
//! real program, on the node's address. Not here: what runs pods, see `node`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::api::{Api, agent};
use super::daemon::Daemon;
use super::keys;
use super::network::{NODE, PODS, SERVICES};
use super::node::{NAMES, Nodes};
use super::scratch::SCRATCH;
use crate::paths;

/// The token of the administrator. The file with it is private to the mesh.
const TOKEN: &str = "mesh";
/// Where `kubectl proxy` listens.
const PROXY_PORT: u16 = 8001;
/// The configuration with which `kubectl` finds the API server.
pub const KUBECONFIG: &str = "/run/mixerless/cluster/kubeconfig";
const LIMIT: Duration = Duration::from_mins(2);

/// The controllers that run. The one that watches nodes does not: no kubelet reports their state here.
const CONTROLLERS: &str = "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,\
                           endpointslice-controller,endpoints-controller,endpointslice-mirroring-controller,\
                           namespace-controller,serviceaccount-controller,root-ca-certificate-publisher-controller,\
                           garbage-collector-controller,horizontal-pod-autoscaler-controller,\
                           clusterrole-aggregation-controller,disruption-controller,\
                           persistentvolume-binder-controller";

/// A cluster that runs.
pub struct TestCluster {
    /// Its API server.
    pub api: Api,
    /// What runs its pods.
    pub nodes: Nodes,
    _daemons: Vec<Daemon>,
}

impl TestCluster {
    /// Starts everything and waits until it answers.
    pub fn start() -> Result<Self> {
        let place = Path::new(SCRATCH).join("cluster");
        fs::create_dir_all(&place)?;
        keys::write(&place).context("cannot make keys")?;
        let kubeconfig = write_kubeconfig(&place)?;
        let mut daemons = vec![etcd(&place)?];
        let mut server = api_server(&place)?;
        daemons.push(kubectl_proxy(&kubeconfig)?);
        let ready = format!("http://127.0.0.1:{PROXY_PORT}/readyz");
        let agent = agent(Duration::from_secs(2));
        server.wait_until(LIMIT, || {
            let answer = agent.get(&ready).call();
            answer.is_ok_and(|answer| answer.status().is_success())
        })?;
        let api = Api::new(PROXY_PORT, &kubeconfig);
        let nodes = Nodes::start(&api)?;
        daemons.extend([
            server,
            controllers(&place, &kubeconfig)?,
            scheduler(&kubeconfig)?,
            kube_proxy(&kubeconfig)?,
            dns(&place, &kubeconfig)?,
        ]);
        Ok(Self {
            api,
            nodes,
            _daemons: daemons,
        })
    }
}

fn program(name: &str) -> Command {
    Command::new(paths::mesh_bin().join(name))
}

fn kubectl_proxy(kubeconfig: &Path) -> Result<Daemon> {
    let mut kubectl = program("kubectl");
    kubectl
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["proxy", "--port", &PROXY_PORT.to_string()]);
    Daemon::start("kubectl-proxy", &mut kubectl)
}

fn etcd(place: &Path) -> Result<Daemon> {
    let mut etcd = program("etcd");
    etcd.arg("--data-dir").arg(place.join("etcd")).args([
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        // The data are in memory and are removed with the mesh.
        "--unsafe-no-fsync",
    ]);
    Daemon::start("etcd", &mut etcd)
}

fn api_server(place: &Path) -> Result<Daemon> {
    let tokens = place.join("tokens.csv");
    fs::write(&tokens, format!("{TOKEN},admin,admin,system:masters\n"))?;
    let file = |name: &str| place.join(name).display().to_string();
    let arguments = [
        format!("--advertise-address={NODE}"),
        format!("--bind-address={NODE}"),
        format!("--cert-dir={}", file("certificates")),
        format!("--proxy-client-cert-file={}", file("proxy.crt")),
        format!("--proxy-client-key-file={}", file("proxy.key")),
        format!("--requestheader-allowed-names={}", keys::PROXY_NAME),
        format!("--requestheader-client-ca-file={}", file("proxy-ca.crt")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--token-auth-file={}", tokens.display()),
    ];
    let mut server = program("kube-apiserver");
    server.args(arguments).args([
        "--allow-privileged",
        // The second audience is that of the tokens that proxies send to Istio's CA.
        "--api-audiences=https://kubernetes.default.svc,istio-ca",
        "--authorization-mode=RBAC",
        // The plugin taints new nodes until a controller sees them ready, and that one does not run, see CONTROLLERS.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--enable-aggregator-routing",
        "--etcd-servers=http://127.0.0.1:2379",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--service-account-issuer=https://kubernetes.default.svc",
    ]);
    Daemon::start("kube-apiserver", &mut server)
}

fn controllers(place: &Path, kubeconfig: &Path) -> Result<Daemon> {
    let mut manager = program("kube-controller-manager");
    manager
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg(format!("--controllers={CONTROLLERS}"))
        .arg("--root-ca-file")
        .arg(place.join("certificates/apiserver.crt"))
        .arg("--service-account-private-key-file")
        .arg(place.join("accounts.key"))
        .args([
            // Shorter than the defaults of 5 minutes and 15 seconds, so that a story does not take that long.
            "--horizontal-pod-autoscaler-downscale-stabilization=10s",
            "--horizontal-pod-autoscaler-sync-period=3s",
            "--leader-elect=false",
            "--secure-port=0",
        ]);
    Daemon::start("kube-controller-manager", &mut manager)
}

fn scheduler(kubeconfig: &Path) -> Result<Daemon> {
    let mut scheduler = program("kube-scheduler");
    scheduler
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--leader-elect=false", "--secure-port=0"]);
    Daemon::start("kube-scheduler", &mut scheduler)
}

fn kube_proxy(kubeconfig: &Path) -> Result<Daemon> {
    let mut proxy = program("kube-proxy");
    proxy
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg(format!("--cluster-cidr={PODS}"))
        .arg(format!("--hostname-override={}", NAMES[0]))
        .args([
            // These settings would change the whole machine and not only the namespace.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-close-wait=0",
            "--conntrack-tcp-timeout-established=0",
            "--iptables-min-sync-period=100ms",
            "--proxy-mode=iptables",
        ]);
    Daemon::start("kube-proxy", &mut proxy)
}

fn dns(place: &Path, kubeconfig: &Path) -> Result<Daemon> {
    let file = place.join("Corefile");
    let kubeconfig = kubeconfig.display();
    fs::write(
        &file,
        format!(
            ".:53 {{\n  bind {NODE}\n  errors\n  kubernetes cluster.local {{\n    kubeconfig {kubeconfig}\n    ttl 1\n  }}\n}}\n"
        ),
    )?;
    Daemon::start("coredns", program("coredns").arg("-conf").arg(file))
}

fn write_kubeconfig(place: &Path) -> Result<PathBuf> {
    let file = place.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "mesh", "cluster": { "server": format!("https://{NODE}:6443"), "insecure-skip-tls-verify": true } }],
        "users": [{ "name": "admin", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "mesh", "context": { "cluster": "mesh", "user": "admin" } }],
        "current-context": "mesh",
    });
    fs::write(&file, config.to_string())?;
    Ok(file)
}
