//! Tools from the Linux distribution, and how they are installed.
//! Not here: when a tool is needed, which is up to the caller of [`Tool::ensure`]; and tools of one module alone,
//! which defines them itself.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::process::{capture, succeeds};
use crate::steps;

/// A program of the distribution.
pub struct Tool {
    /// Its name in messages.
    pub name: &'static str,
    /// The Debian packages that bring it.
    pub packages: &'static [&'static str],
    /// Whether it is there and fit for use.
    pub present: fn() -> bool,
}

const REGISTRY: Tool = Tool {
    name: "an OCI registry",
    packages: &["docker-registry"],
    present: || succeeds(Command::new("docker-registry").arg("--version")),
};

/// The servers and tools of the tests of `envoyfilter-manifests`, and the databases that are run through a
/// pair of sidecars.
pub const TESTED_WITH: [Tool; 7] = [
    Tool {
        name: "PostgreSQL",
        packages: &["postgresql", "postgresql-client"],
        present: || {
            let server = Path::new("/usr/lib/postgresql");
            server.exists() && succeeds(Command::new("psql").arg("--version"))
        },
    },
    Tool {
        name: "Redis",
        packages: &["redis-server", "redis-tools"],
        present: || {
            let programs = ["redis-server", "redis-cli"];
            programs
                .iter()
                .all(|name| succeeds(Command::new(name).arg("--version")))
        },
    },
    Tool {
        name: "Prometheus and promtool",
        packages: &["prometheus"],
        present: || succeeds(Command::new("promtool").arg("--version")),
    },
    REGISTRY,
    Tool {
        name: "skopeo",
        packages: &["skopeo"],
        present: || succeeds(Command::new("skopeo").arg("--version")),
    },
    Tool {
        name: "Chromium",
        packages: &["chromium"],
        present: || succeeds(Command::new("chromium").arg("--version")),
    },
    Tool {
        name: "Chromium's driver",
        packages: &["chromium-driver"],
        present: || succeeds(Command::new("chromedriver").arg("--version")),
    },
];

/// What a mesh on this machine starts or is made of.
pub const MESH: [Tool; 6] = [
    REGISTRY,
    Tool {
        name: "ip, for networks",
        packages: &["iproute2"],
        present: || succeeds(Command::new("ip").arg("-Version")),
    },
    Tool {
        name: "iptables",
        packages: &["iptables"],
        present: || succeeds(Command::new("iptables").arg("--version")),
    },
    Tool {
        name: "unshare and setpriv, for namespaces",
        packages: &["util-linux"],
        present: || succeeds(Command::new("setpriv").arg("--version")),
    },
    Tool {
        name: "curl",
        packages: &["curl"],
        present: || succeeds(Command::new("curl").arg("--version")),
    },
    Tool {
        name: "wget, for Flagger's probes",
        packages: &["wget"],
        present: || succeeds(Command::new("wget").arg("--version")),
    },
];

/// Makes the module smaller.
pub const WASM_OPT: Tool = Tool {
    name: "wasm-opt",
    packages: &["binaryen"],
    present: || succeeds(Command::new("wasm-opt").arg("--version")),
};

/// Counts the instructions of the benchmarks.
pub const VALGRIND: Tool = Tool {
    name: "valgrind",
    packages: &["valgrind"],
    present: || succeeds(Command::new("valgrind").arg("--version")),
};

impl Tool {
    /// Installs the tool unless it is there.
    pub fn ensure(&self) -> Result<()> {
        if (self.present)() {
            return Ok(());
        }
        let packages = self.packages.join(" ");
        steps::bring(self.name, &format!("apt-get install {packages}"), || {
            install(self.packages).with_context(|| format!("cannot install {packages}"))?;
            if (self.present)() {
                return Ok(());
            }
            bail!(
                "{packages} installed, but {} still does not work; its version may be too old for this project",
                self.name
            )
        })
    }
}

fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!(
            "there is no apt-get; install with this system's own package manager what Debian calls {names}"
        );
    }
    if !is_root() && !succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
        bail!(
            "installing packages needs root; run `sudo apt-get install {names}`, then this command again"
        );
    }
    update()?;
    // `--no-remove`: never remove a package of the user for one of ours.
    let options = ["install", "-y", "--no-install-recommends", "--no-remove"];
    capture(apt_get().args(options).args(packages))?;
    Ok(())
}

/// Brings the package lists up to date, once per run of this program.
fn update() -> Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    if UPDATED.get().is_none() {
        capture(apt_get().arg("update"))?;
        UPDATED.get_or_init(|| ());
    }
    Ok(())
}

/// `apt-get` without questions, as root. Through `env`, because sudo drops variables.
fn apt_get() -> Command {
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    if is_root() {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        return command;
    }
    let mut command = Command::new("sudo");
    command.arg("--non-interactive").args(words);
    command
}

fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
