//! The compiler that makes WebAssembly: which one is installed, and how cargo uses it.
//! Not here: what is built with it, see `module`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apt::Tool;
use crate::cargo::cargo;
use crate::process::{capture, succeeds_within};
use crate::{paths, steps};

/// The module's target.
pub const WASM: &str = "wasm32-unknown-unknown";

/// A target that has no `std` at all.
pub const WASM_NO_STD: &str = "wasm32v1-none";

/// A microcontroller with atomics of 32 bits.
pub const EMBEDDED: &str = "thumbv7em-none-eabi";

/// A microcontroller that can only load and store atomically.
pub const SMALLEST: &str = "thumbv6m-none-eabi";

/// All that something is compiled for besides this machine.
const TARGETS: [&str; 4] = [WASM, WASM_NO_STD, EMBEDDED, SMALLEST];

/// The compiler of Debian's packages, which is not the one of rustup.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that comes with the sources of its own standard library.
const WEB_RUSTC: Tool = Tool {
    name: "Debian's Rust compiler and the sources of std",
    packages: &["rustc-web", "rust-web-src"],
    present: debian_present,
};

/// How long rustup may take: behind a firewall it would retry for minutes.
const RUSTUP_LIMIT: Duration = Duration::from_mins(1);

/// A compiler for all of [`TARGETS`].
pub enum Toolchain {
    /// The active toolchain; rustup brought the standard library of each.
    Rustup,
    /// Debian's compiler, which builds the standard library from source. For
    /// machines that reach a Debian mirror but not rustup's server.
    Debian {
        /// The active toolchain's linker: Debian's compiler has none for wasm.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds a compiler, or installs one, and prints which.
    pub fn ensure() -> Result<Self> {
        let toolchain = Self::ensure_silently()?;
        steps::present(&toolchain.name());
        Ok(toolchain)
    }

    /// Like [`Self::ensure`], but prints only when it installs something.
    pub fn ensure_silently() -> Result<Self> {
        let sysroot = active_sysroot()?;
        if rustup_present(&sysroot) {
            return Ok(Self::Rustup);
        }
        if !debian_present() {
            if rustup_adds_targets() {
                return Ok(Self::Rustup);
            }
            WEB_RUSTC.ensure().with_context(|| {
                let targets = TARGETS.join(" ");
                format!("no compiler for {WASM}; either run `rustup target add {targets}`, or let Debian's be installed")
            })?;
        }
        let linker = rust_lld(&sysroot)?;
        Ok(Self::Debian { linker })
    }

    /// `cargo SUBCOMMAND --target TARGET` with this compiler. `std` names what
    /// of the standard library the build needs, as the value of `-Zbuild-std`.
    pub fn cargo(&self, subcommand: &str, target: &str, std: &str) -> Command {
        let mut command = cargo(subcommand);
        command
            .args(["--release", "--target", target, "--target-dir"])
            .arg(paths::wasm_target())
            // This variable overrides all flags that the user has for the host.
            .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&[]))
            .env_remove("RUSTC");
        if let Self::Debian { linker } = self {
            command
                .arg(format!("-Zbuild-std={std}"))
                .arg("-Zbuild-std-features=optimize_for_size")
                .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&NO_PANIC_MESSAGES))
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1") // or -Z is refused
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    fn name(&self) -> String {
        match self {
            Self::Rustup => format!("{WASM} from rustup"),
            Self::Debian { .. } => format!("{WASM} from Debian's compiler, std built from source"),
        }
    }
}

/// A proxy does not show panic messages, so they are left out, which saves a fifth of the module's size.
/// This needs a std that is built from source.
const NO_PANIC_MESSAGES: [&str; 2] = ["-Zunstable-options", "-Cpanic=immediate-abort"];

/// The compiler's flags, as cargo's variable has them: `more`, and what keeps the builder's directories out of what is
/// built, where panic messages name source files. Speed needs no flag: what Envoy's V8 can do is on by default.
pub fn rust_flags(more: &[&str]) -> String {
    let root = format!("--remap-path-prefix={}=mixerless", paths::root().display());
    // The same value whether or not cargo set the variable, because other flags would rebuild everything.
    let cargo_home =
        env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| home + "/.cargo"));
    let cargo_home = cargo_home.map(|home| format!("--remap-path-prefix={home}=cargo"));
    let more = more.iter().map(ToString::to_string);
    let flags: Vec<String> = [root].into_iter().chain(cargo_home).chain(more).collect();
    flags.join("\x1f")
}

/// Whether Debian's compiler is installed with its sources, and new enough for this workspace.
fn debian_present() -> bool {
    let version = capture(Command::new(DEBIAN_RUSTC).arg("--version"));
    version.is_ok_and(|version| is_new_enough(&version))
        && sysroot(DEBIAN_RUSTC)
            .is_ok_and(|dir| dir.join("lib/rustlib/src/rust/library/std").exists())
}

fn rustup_present(sysroot: &Path) -> bool {
    TARGETS.iter().all(|target| {
        sysroot
            .join("lib/rustlib")
            .join(target)
            .join("lib")
            .exists()
    })
}

/// Lets rustup download the targets, unless the user told it to install nothing by itself.
fn rustup_adds_targets() -> bool {
    if env::var("RUSTUP_AUTO_INSTALL").is_ok_and(|value| value == "0") {
        return false;
    }
    let mut rustup = Command::new("rustup");
    rustup
        .args(["target", "add"])
        .args(TARGETS)
        .current_dir(paths::root());
    eprintln!("  ..  asking rustup for {WASM}");
    succeeds_within(&mut rustup, RUSTUP_LIMIT)
}

fn active_sysroot() -> Result<PathBuf> {
    sysroot("rustc").context("there is no Rust compiler; install rustup first")
}

fn sysroot(rustc: &str) -> Result<PathBuf> {
    let mut command = Command::new(rustc);
    command
        .args(["--print", "sysroot"])
        .current_dir(paths::root());
    Ok(capture(&mut command)?.trim().into())
}

/// The linker that rustup puts beside each compiler, in a directory named after the host.
fn rust_lld(sysroot: &Path) -> Result<PathBuf> {
    let rustlib = sysroot.join("lib/rustlib");
    let hosts = rustlib.read_dir();
    let hosts = hosts.with_context(|| format!("cannot read {}", rustlib.display()))?;
    let mut linkers = hosts.flatten().map(|host| host.path().join("bin/rust-lld"));
    match linkers.find(|linker| linker.exists()) {
        Some(linker) => Ok(linker),
        None => bail!(
            "the active Rust toolchain in {} has no rust-lld, which links the module; use a toolchain from rustup",
            sysroot.display()
        ),
    }
}

/// Whether `rustc 1.96.0 (…)` is at least the workspace's `rust-version`.
fn is_new_enough(rustc_version: &str) -> bool {
    let number = rustc_version.split_whitespace().nth(1).unwrap_or_default();
    major_minor(number) >= major_minor(env!("CARGO_PKG_RUST_VERSION"))
}

/// `1.96.0` as (1, 96). `None` is less than any.
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_compiler_of_debian_is_not_taken() {
        assert!(is_new_enough(
            "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"
        ));
        assert!(is_new_enough("rustc 2.0.0"));
        assert!(!is_new_enough("rustc 1.63.0"));
        assert!(!is_new_enough(""));
    }
}
