//! A crate's modules, parsed: which files there are, and what is in them without their tests.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item, Meta};

/// A tree of modules with one root: a library, or a program.
pub struct Crate {
    /// The modules; the root comes first, a parent before its children.
    pub modules: Vec<Module>,
}

/// A file.
pub struct Module {
    /// Where it is, seen from the workspace.
    pub file: String,
    /// The path from the root, which has none.
    pub path: Vec<String>,
    /// What is in it, without what is for tests.
    pub syntax: File,
    /// Its lines, without those for tests.
    pub lines: usize,
}

impl Crate {
    /// Parses sources that are given as text: paths such as `a::b`, and what is in there. `""` is the root.
    pub fn of(sources: &[(&str, &str)]) -> Self {
        let module = |(path, text): &(&str, &str)| {
            let path: Vec<String> = path
                .split("::")
                .filter(|name| !name.is_empty())
                .map(ToOwned::to_owned)
                .collect();
            let file = format!(
                "{}.rs",
                if path.is_empty() {
                    "lib".to_owned()
                } else {
                    path.join("/")
                }
            );
            Module::parse(file, path, text)
        };
        Self {
            modules: sources.iter().map(module).collect(),
        }
    }

    /// Whether this is a root of that directory.
    pub fn is_in(&self, directory: &str) -> bool {
        let below = |file: &str| {
            file.strip_prefix(directory)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.modules.iter().all(|module| below(&module.file))
    }

    /// The number of the module at that path.
    pub fn at(&self, path: &[String]) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }
}

impl Module {
    fn parse(file: String, path: Vec<String>, text: &str) -> Self {
        let mut syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut lines = text.lines().count();
        syntax.items.retain(|item| {
            let for_tests = attributes(item).iter().any(is_for_tests);
            if for_tests {
                let span = syn::spanned::Spanned::span(item);
                lines -= span.end().line - span.start().line + 1;
            }
            !for_tests
        });
        Self {
            file,
            path,
            syntax,
            lines,
        }
    }

    /// The name of the module as code writes it.
    pub fn name(&self) -> String {
        if self.path.is_empty() {
            return "crate".to_owned();
        }
        self.path.join("::")
    }
}

/// The crates of a package: its library and its program, as far as there are.
pub fn load(workspace: &Path, package: &str) -> Vec<Crate> {
    let src = workspace.join(package).join("src");
    let roots = ["lib.rs", "main.rs"].map(|root| src.join(root));
    let crates: Vec<Crate> = roots
        .iter()
        .filter(|root| root.exists())
        .map(|root| {
            let mut modules = Vec::new();
            load_module(workspace, root, &src, &[], &mut modules);
            Crate { modules }
        })
        .collect();
    assert!(!crates.is_empty(), "no crate in {}", src.display());
    crates
}

/// The source files of a package that no module declares: nothing compiles them.
pub fn orphans(workspace: &Path, package: &str) -> Vec<String> {
    let src = workspace.join(package).join("src");
    let mut orphans = Vec::new();
    find_orphans(
        &src,
        &[src.join("lib.rs"), src.join("main.rs")],
        &mut orphans,
    );
    let shown = |file: &PathBuf| {
        file.strip_prefix(workspace)
            .unwrap_or(file)
            .display()
            .to_string()
    };
    orphans
        .iter()
        .map(|file| format!("{}: no module declares it", shown(file)))
        .collect()
}

/// `parents`: the files that may declare what is in a directory.
fn find_orphans(directory: &Path, parents: &[PathBuf], orphans: &mut Vec<PathBuf>) {
    let texts = parents
        .iter()
        .filter_map(|parent| fs::read_to_string(parent).ok());
    let declared: Vec<String> = texts.collect();
    let is_declared = |name: &str| {
        let declaration = format!("mod {name};");
        declared.iter().any(|text| text.contains(&declaration))
    };
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let parents = [path.join("mod.rs"), directory.join(format!("{name}.rs"))];
            find_orphans(&path, &parents, orphans);
            if path.join("mod.rs").exists() && !is_declared(&name) {
                orphans.push(path.join("mod.rs"));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["lib", "main", "mod"].contains(&&*name)
            && !is_declared(&name)
        {
            orphans.push(path);
        }
    }
}

/// `children`: the directory of the module's own children.
fn load_module(
    workspace: &Path,
    file: &Path,
    children: &Path,
    path: &[String],
    modules: &mut Vec<Module>,
) {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let shown = file.strip_prefix(workspace).unwrap_or(file);
    let module = Module::parse(shown.display().to_string(), path.to_vec(), &text);
    let declared: Vec<String> = module
        .syntax
        .items
        .iter()
        .filter_map(|item| match item {
            // A file at a path of its own belongs to another crate, which is checked for itself.
            Item::Mod(module) if module.content.is_none() && !has_path(&module.attrs) => {
                Some(module.ident.to_string())
            }
            _ => None,
        })
        .collect();
    modules.push(module);
    for name in declared {
        let files: [PathBuf; 2] = [
            children.join(format!("{name}.rs")),
            children.join(&name).join("mod.rs"),
        ];
        let file = files.iter().find(|file| file.exists());
        let file =
            file.unwrap_or_else(|| panic!("no file for {name} below {}", children.display()));
        let path = [path, std::slice::from_ref(&name)].concat();
        load_module(workspace, file, &children.join(&name), &path, modules);
    }
}

fn has_path(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("path"))
}

fn is_for_tests(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        Meta::Path(_) | Meta::NameValue(_) => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[test]
fn tests_do_not_count() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod more;\n";
    let module = &Crate::of(&[("", text)]).modules[0];
    assert_eq!(module.lines, 1);
    assert_eq!(module.syntax.items.len(), 1);
}
