//! `cargo xtask dist`: the files of a release, in `target/dist`, for this machine's architecture.
//!
//! The same sources, compilers and lock file give the same archive: its entries are sorted, and have no dates and no owners.
//! Not here: how the module is built, see `module`.

mod archive;
mod dependencies;
mod licences;
mod sbom;

use std::env::consts::ARCH;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::install::{ENVOY_VARIABLE, MODULE_VARIABLE};
use sha2::{Digest, Sha256};

use self::archive::DistArchive;
use self::dependencies::LinkedCrates;
use crate::apt::{self, Tool};
use crate::cargo::cargo;
use crate::envoy::{self, EnvoyBinary};
use crate::module::{self, Verbosity};
use crate::paths;
use crate::process::{capture, show};
use crate::toolchain::{Toolchain, rust_flags};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What the build script of `envoyfilter-manifests` reads.
const EMBED_VARIABLE: &str = "MIXERLESS_EMBED";

/// Builds everything, packs it, and prints what a release has to upload. With `check`, runs the tests of the archive.
pub fn run(check: bool) -> Result<()> {
    module::build_all(&Toolchain::ensure()?, Verbosity::Quiet)?;
    let program = build_command_line()?;
    let crates = LinkedCrates::read(&target())?;
    let sbom = sbom::cyclonedx(&crates)?;

    let name = format!("mixerless-{VERSION}-{ARCH}-linux");
    let mut archive = DistArchive::new(&name);
    archive.program("mixerless", &program)?;
    archive.file("mixerless.wasm", &paths::module())?;
    archive.file("libmixerless.so", &paths::native_module())?;
    archive.file("LICENSE", &paths::root().join("LICENSE"))?;
    archive.file("README.md", &paths::root().join("README.md"))?;
    archive.directory("docs", &paths::root().join("docs"))?;
    archive.text("THIRD-PARTY.md", licences::third_party(&crates)?);
    archive.text("sbom.cdx.json", sbom.clone());
    let help = help_files(&program)?;
    archive.directory("completions", &help.join("completions"))?;
    archive.directory("man", &help.join("man"))?;

    let image = dist().join(format!("{name}.oci.tar"));
    capture(Command::new(&program).args(["image", "--out"]).arg(&image))?;

    let files = [
        (format!("{name}.tar.gz"), archive.packed()?),
        (format!("{name}.oci.tar"), fs::read(&image)?),
        (format!("{name}.sbom.cdx.json"), sbom.into_bytes()),
        ("mixerless.wasm".to_owned(), fs::read(paths::module())?),
    ];
    publish(&files)?;
    if check {
        test(&dist().join(format!("{name}.tar.gz")))?;
    }
    Ok(())
}

/// The command line with the module inside, which needs no library of the machine it runs on.
fn build_command_line() -> Result<PathBuf> {
    let target = target();
    let mut cargo = cargo("build");
    cargo
        .args(["--package", "envoyfilter-manifests", "--bin", "mixerless"])
        // Named although it is this machine's, or the flags would apply to macros, which are libraries.
        .args(["--profile", "command-line", "--target", &target])
        .env(EMBED_VARIABLE, paths::module())
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rust_flags(&["-Ctarget-feature=+crt-static"]),
        );
    show(&mut cargo)?;
    Ok(paths::root()
        .join("target")
        .join(target)
        .join("command-line/mixerless"))
}

fn target() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

/// Completions and man pages, as the program itself writes them.
fn help_files(program: &Path) -> Result<PathBuf> {
    let directory = dist().join("help");
    // What an older program wrote.
    let _ = fs::remove_dir_all(&directory);
    capture(
        Command::new(program)
            .args(["help-files", "--out"])
            .arg(&directory),
    )?;
    Ok(directory)
}

/// Writes the files and their checksums, in the form of `sha256sum --check`.
fn publish(files: &[(String, Vec<u8>)]) -> Result<()> {
    let mut sums = String::new();
    for (name, bytes) in files {
        let file = dist().join(name);
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        writeln!(sums, "{:x}  {name}", Sha256::digest(bytes))?;
        println!("{}  {} kB", paths::shown(&file), bytes.len().div_ceil(1000));
    }
    let file = dist().join("SHA256SUMS");
    fs::write(&file, &sums).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}\n{sums}", paths::shown(&file));
    println!("For {ARCH} alone: run this on a machine of another architecture for its archive.");
    Ok(())
}

/// The commands of the documentation, with an Envoy and a registry.
fn test(archive: &Path) -> Result<()> {
    let envoys = envoy::choose(&[])?;
    envoys.iter().take(1).try_for_each(EnvoyBinary::ensure)?;
    apt::MESH.iter().try_for_each(Tool::ensure)?;
    let mut tests = cargo("test");
    tests
        .args(["--package", "envoyfilter-manifests", "--test", "mesh"])
        .args(["installed::", "--", "--include-ignored"])
        .env(MODULE_VARIABLE, paths::module())
        .env("MIXERLESS_ARCHIVE", archive);
    if let Some(envoy) = envoys.first() {
        tests.env(ENVOY_VARIABLE, &envoy.binary);
    }
    show(&mut tests)
}

fn dist() -> PathBuf {
    paths::root().join("target/dist")
}
