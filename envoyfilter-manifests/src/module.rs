//! The module's bytes: those inside this program, or a file's, and whether they are a module that a proxy can load.
//! Not here: where a mesh finds the module, see `module_source`.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use wasmparser::{ExternalKind, Parser, Payload};

/// The version of the proxy-wasm ABI, as an artifact's configuration has it.
pub const ABI: &str = "0.2.1";
/// The function by which a module says that it is made for this version.
const ABI_MARK: &str = "proxy_abi_version_0_2_1";
/// What a proxy calls in every module of ours: to hand over bytes, and once for each plugin.
const CALLED: [&str; 2] = ["proxy_on_memory_allocate", "proxy_on_configure"];

#[cfg(module_inside)]
const INSIDE: Option<&[u8]> = Some(include_bytes!(env!("MIXERLESS_EMBED")));
#[cfg(not(module_inside))]
const INSIDE: Option<&[u8]> = None;

/// The options of `mixerless module`.
#[derive(Args, Clone, Debug)]
pub struct ModuleOptions {
    /// Write the module to this file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Writes the module that is inside this program.
///
/// # Errors
/// When there is none, or the file cannot be written.
pub fn write(options: &ModuleOptions) -> Result<()> {
    let module = load(None)?;
    fs::write(&options.out, &module)
        .with_context(|| format!("--out: cannot write {}", options.out.display()))
}

/// The module in a file, or without one that inside this program.
///
/// # Errors
/// When there is none, or it is no module for a proxy.
pub fn load(file: Option<&Path>) -> Result<Cow<'static, [u8]>> {
    let (name, module) = match (file, INSIDE) {
        (Some(file), _) => {
            let name = file.display().to_string();
            let module = fs::read(file).with_context(|| {
                format!(
                    "cannot read the module {name}: build it with `cargo xtask build`, or name another FILE"
                )
            })?;
            (name, Cow::Owned(module))
        }
        (None, Some(module)) => ("the module inside".to_owned(), Cow::Borrowed(module)),
        (None, None) => bail!(
            "this mixerless was built without the module; build it with `cargo xtask dist`, or name a file"
        ),
    };
    check(&module).with_context(|| format!("{name} is refused"))?;
    Ok(module)
}

/// Whether a proxy can load this: a whole module of WebAssembly for this ABI.
fn check(module: &[u8]) -> Result<()> {
    ensure!(
        module.starts_with(b"\0asm"),
        "it is no WebAssembly module: name the .wasm file that `cargo xtask build` made"
    );
    let exported = exports(module).context("its WebAssembly is damaged or incomplete")?;
    let has = |name: &str| exported.contains(&name);
    if !has(ABI_MARK) {
        let other = exported
            .iter()
            .find_map(|name| name.strip_prefix("proxy_abi_version_"));
        match other {
            Some(version) => bail!(
                "it is for version {} of the proxy-wasm ABI, and this command takes {ABI}",
                version.replace('_', ".")
            ),
            None => bail!(
                "it is no module for a proxy: it does not export {ABI_MARK}; name the .wasm file that `cargo xtask build` made"
            ),
        }
    }
    match CALLED.into_iter().find(|name| !has(name)) {
        Some(missing) => bail!("it does not export {missing}, which a proxy calls"),
        None => Ok(()),
    }
}

/// The names of exported functions, after all sections were read.
fn exports(module: &[u8]) -> Result<Vec<&str>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::Version {
                encoding: wasmparser::Encoding::Component,
                ..
            } => bail!("it is a component, and proxies load core modules"),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        names.push(export.name);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporting(names: &[&str]) -> Vec<u8> {
        let exports = names.join("\" (func 0)) (export \"");
        let exports = format!("(export \"{exports}\" (func 0))");
        wat::parse_str(format!("(module (func) {exports})")).unwrap()
    }

    fn refused(module: &[u8]) -> String {
        format!("{:#}", check(module).unwrap_err())
    }

    #[test]
    fn a_module_for_this_abi_is_taken() {
        check(&exporting(&[ABI_MARK, CALLED[0], CALLED[1]])).unwrap();
    }

    #[test]
    fn what_no_proxy_could_load_is_refused() {
        for (exported, expected) in [
            (&[][..], "it does not export proxy_abi_version_0_2_1"),
            (
                &["proxy_abi_version_0_1_0"],
                "version 0.1.0 of the proxy-wasm ABI",
            ),
            (&[ABI_MARK], "does not export proxy_on_memory_allocate"),
            (&[ABI_MARK, CALLED[0]], "does not export proxy_on_configure"),
        ] {
            let error = refused(&exporting(exported));
            assert!(error.contains(expected), "{error}");
        }
        assert!(refused(b"").contains("is no WebAssembly module"));
        assert!(refused(b"\x7fELF").contains("is no WebAssembly module"));
        let component = wat::parse_str("(component)").unwrap();
        assert!(refused(&component).contains("is a component"));
        // A global of that name is not the function that a proxy looks for.
        let global = format!("(module (global (export \"{ABI_MARK}\") i32 (i32.const 0)))");
        assert!(refused(&wat::parse_str(global).unwrap()).contains("it does not export"));
    }

    #[test]
    fn a_module_that_was_cut_off_is_refused() {
        let module = exporting(&[ABI_MARK, CALLED[0], CALLED[1]]);
        let error = refused(&module[..module.len() - 1]);
        assert!(error.contains("damaged or incomplete"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(Some(Path::new("/nowhere/mixerless.wasm"))).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/mixerless.wasm"),
            "{error}"
        );
        assert!(error.to_string().contains("cargo xtask build"), "{error}");
    }

    /// With `MIXERLESS_EMBED`, this checks what is inside; without, what is said then.
    #[test]
    fn without_a_file_the_module_inside_is_taken() {
        match (INSIDE, load(None)) {
            (Some(inside), module) => assert_eq!(module.unwrap(), inside),
            (None, module) => {
                let error = module.unwrap_err().to_string();
                assert!(error.contains("built without the module"), "{error}");
            }
        }
    }
}
