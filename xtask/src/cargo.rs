//! Cargo as a child of this program. Not here: the compiler for the module, see `toolchain`.

use std::env;
use std::process::Command;

use crate::paths;

/// `cargo SUBCOMMAND` at the root of the repository, in the user's own environment.
pub fn cargo(subcommand: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.arg(subcommand).current_dir(paths::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_left_by_cargo_run) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether the `cargo run` that started us set this variable. Some build
/// scripts watch these, and would rebuild each time that cargo is started by this program.
fn is_left_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name,
            "CARGO" | "LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH"
        )
}
