//! Puts the module into the command line where `MIXERLESS_EMBED` names its file, as `cargo xtask dist` does.

use std::env;
use std::path::Path;
use std::process::ExitCode;

const VARIABLE: &str = "MIXERLESS_EMBED";

fn main() -> ExitCode {
    println!("cargo::rustc-check-cfg=cfg(module_inside)");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let Some(file) = env::var_os(VARIABLE) else {
        return ExitCode::SUCCESS;
    };
    let file = Path::new(&file);
    if !file.is_absolute() || !file.is_file() {
        println!("cargo::error={VARIABLE}: name the module by an absolute path, or unset it");
        return ExitCode::FAILURE;
    }
    println!("cargo::rerun-if-changed={}", file.display());
    println!("cargo::rustc-cfg=module_inside");
    ExitCode::SUCCESS
}
