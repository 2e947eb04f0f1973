//! The directory for files that exist as long as the mesh, and mounting.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::capture;

/// Below it is everything that only lives as long as the mesh.
pub const SCRATCH: &str = "/run/mixerless";

/// Mounts the directory `machines` at `ours` too.
pub fn bind(machines: &Path, ours: &Path) -> Result<()> {
    fs::create_dir_all(ours)?;
    let machines = machines.display().to_string();
    mount(&["--rbind", &machines], ours)
}

/// Lets each user write into a directory, as into an `emptyDir`.
pub fn open_to_all(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777))?;
    Ok(())
}

/// Mounts at a place.
pub fn mount(words: &[&str], place: &Path) -> Result<()> {
    capture(Command::new("mount").args(words).arg(place)).map(drop)
}
