//! `mixerless help-files`: what a shell and `man` know of the command line, made from the command line itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

/// The options of `mixerless help-files`.
#[derive(Args, Clone, Debug)]
pub struct HelpFilesOptions {
    /// Write completions/ and man/ below this directory
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes a file of completions for each shell, and a man page for each command.
///
/// # Errors
/// When a file cannot be written.
pub fn write(command: Command, options: &HelpFilesOptions) -> Result<()> {
    let completions = directory(&options.out, "completions")?;
    let man = directory(&options.out, "man")?;
    let cannot_write = || format!("--out: cannot write below {}", options.out.display());
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut command.clone(), "mixerless", &completions)
            .with_context(cannot_write)?;
    }
    clap_mangen::generate_to(command, man).with_context(cannot_write)
}

fn directory(out: &Path, name: &str) -> Result<PathBuf> {
    let directory = out.join(name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("--out: cannot make {}", directory.display()))?;
    Ok(directory)
}
