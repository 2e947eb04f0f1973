//! The clients and servers of `PostgreSQL` and Redis, as Debian has them, with a pair of sidecars between.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Mesh, ProxyNode, SidecarBuilder, Upstream, eventually};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::sums;

/// A database in a directory of its own, which ends when it is dropped.
struct Database {
    process: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Database {
    async fn postgres() -> Self {
        let (directory, address) = place();
        let data = directory.path().join("data");
        let path = data.to_str().unwrap();
        run(as_its_user(&postgres_program("initdb")).args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--pgdata",
            path,
        ]));
        let port = address.port().to_string();
        let mut server = as_its_user(&postgres_program("postgres"));
        server.args(["-D", path, "-k", path, "-p", &port, "-h", "127.0.0.1"]);
        let mut ready = Command::new(postgres_program("pg_isready"));
        ready.args(["-h", "127.0.0.1", "-p", &port]);
        Self::start(&mut server, address, directory, ready).await
    }

    async fn redis() -> Self {
        let (directory, address) = place();
        let port = address.port().to_string();
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
        server.current_dir(directory.path());
        let mut ready = Command::new("redis-cli");
        ready.args(["-p", &port, "ping"]);
        Self::start(&mut server, address, directory, ready).await
    }

    async fn start(
        server: &mut Command,
        address: SocketAddr,
        directory: TempDir,
        mut ready: Command,
    ) -> Self {
        let quiet = server.stdout(Stdio::null()).stderr(Stdio::null());
        let process = quiet
            .spawn()
            .unwrap_or_else(|error| panic!("{server:?}: {error}; run `cargo xtask setup`"));
        eventually("the database is ready", async || {
            Ok(ready.output()?.status.success().then_some(()))
        })
        .await
        .unwrap();
        Self {
            process,
            address,
            _directory: directory,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Asked to, and not killed: a killed PostgreSQL leaves its children behind.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.process.wait();
    }
}

/// A directory that every user may enter, and a free port.
fn place() -> (TempDir, SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let everyone = Permissions::from_mode(0o777);
    std::fs::set_permissions(directory.path(), everyone).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    (directory, listener.local_addr().unwrap())
}

/// Debian keeps the server's programs out of the path, a directory for each version.
fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    let programs = versions
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name));
    let newest = programs.filter(|program| program.exists()).max();
    newest.unwrap_or_else(|| panic!("no {name}: run `cargo xtask setup`"))
}

/// `PostgreSQL`'s server refuses to be root.
fn as_its_user(program: &Path) -> Command {
    if run(Command::new("id").arg("-u")).trim() != "0" {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
    command.args(user).arg(program).current_dir("/");
    command
}

/// What a program prints that succeeds.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run `cargo xtask setup`"));
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {printed}{errors}");
    printed
}

/// Runs clients through pairs with mutual TLS and without, that exchange metadata and that do not. `client` is given
/// the port, and says how many connections it made.
async fn through_all_pairs(server: SocketAddr, client: fn(u16) -> u32) {
    for (mtls, exchanges) in [(true, true), (true, false), (false, true), (false, false)] {
        let clusters: &[&str] = if exchanges { &["*"] } else { &[] };
        let config = json!({ "tcp_exchange_clusters": clusters });
        let mesh = Mesh::builder()
            .both(SidecarBuilder::tcp)
            .inbound(|sidecar| sidecar.upstream(Upstream::At(server)))
            .outbound(|sidecar| {
                let cart = sidecar.node(ProxyNode::new("shop", "cart"));
                cart.plugin_config(&config)
            });
        let mesh = mesh.mtls(mtls).start().await.unwrap();
        let port = mesh.outbound.traffic.port();

        let connections = tokio::task::spawn_blocking(move || client(port));

        let connections = connections.await.unwrap();
        let what = format!("mutual TLS {mtls}, exchange {exchanges}");
        let [client, server] = if exchanges {
            [
                ("destination_workload", "podinfo"),
                ("source_workload", "cart"),
            ]
        } else {
            [
                ("destination_workload", "unknown"),
                ("source_workload", "unknown"),
            ]
        };
        let all_closed = async |sidecar: &harness::Sidecar, label| {
            let page = sidecar.page_when("all connections are closed", |page| {
                let [opened, closed, ..] = sums(page, &[]);
                [opened, closed] == [connections, connections].map(|count| count.to_string())
            });
            sums(&page.await.unwrap(), &[label])
        };
        let at_server = all_closed(&mesh.inbound, server).await;
        let at_client = all_closed(&mesh.outbound, client).await;
        assert_eq!(at_client, at_server, "{what}: both count the same");
        assert_ne!(at_client[2..], ["0", "0"], "{what}: with named peers");
    }
}

#[tokio::test]
async fn postgresql_runs_unharmed() {
    let database = Database::postgres().await;
    through_all_pairs(database.address, |port| {
        let port = port.to_string();
        let to = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port];
        let mut psql = Command::new("psql");
        let sum = run(psql.args(to).args(["-tAX", "-c", SQL]));
        assert_eq!(sum.lines().last(), Some("10000|50005000|2000000"));
        let mut pgbench = Command::new(postgres_program("pgbench"));
        run(pgbench.args(to).args(["-i", "-s", "1", "-q", "postgres"]));
        let mut pgbench = Command::new(postgres_program("pgbench"));
        let report = run(pgbench.args(to).args(["-c", "4", "-t", "25", "postgres"]));
        assert!(report.contains("processed: 100/100"), "{report}");
        // One each, one to look how large the tables are, and four clients.
        1 + 1 + 1 + 4
    })
    .await;
}

/// Thousands of rows in both directions of an own table.
const SQL: &str = "
    drop table if exists numbers;
    create table numbers (n int, text text);
    insert into numbers select n, repeat('x', 200) from generate_series(1, 10000) n;
    select count(*), sum(n), sum(length(text)) from numbers";

#[tokio::test]
async fn redis_runs_unharmed() {
    let database = Database::redis().await;
    through_all_pairs(database.address, |port| {
        let port = port.to_string();
        let cli = || {
            let mut cli = Command::new("redis-cli");
            cli.args(["-p", &port]);
            cli
        };
        let long = "0123456789".repeat(10_000);
        assert_eq!(run(cli().args(["set", "long", &long])).trim(), "OK");
        assert_eq!(run(cli().args(["get", "long"])).trim(), long);
        assert_eq!(run(cli().arg("ping")).trim(), "PONG");
        3
    })
    .await;
    let port = database.address.port().to_string();
    let keys = run(Command::new("redis-cli").args(["-p", &port, "dbsize"]));
    assert_eq!(keys.trim(), "1");
}
