//! The crates that are linked into a release, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::paths;
use crate::toolchain::WASM;

/// What is built, and whether for the module's target.
const ROOTS: [(&str, bool); 3] = [
    ("envoyfilter-manifests", false),
    ("filter", true),
    ("filter-native", false),
];

/// One crate.
pub struct LinkedCrate {
    /// As cargo describes it.
    pub package: Package,
    /// The purls of those that it uses.
    pub uses: BTreeSet<String>,
}

/// The crates by their purl (`pkg:cargo/NAME@VERSION`), ours too. Features are those of the whole workspace, so that a
/// crate may be in the list which only a test needs of another one.
pub struct LinkedCrates(pub BTreeMap<String, LinkedCrate>);

impl LinkedCrates {
    /// Asks cargo for what is linked on `target`, and into the module.
    pub fn read(target: &str) -> Result<Self> {
        let mut crates = Self(BTreeMap::new());
        for (root, in_module) in ROOTS {
            crates.add(root, if in_module { WASM } else { target })?;
        }
        ensure!(
            crates.0.len() > ROOTS.len(),
            "cargo metadata names no dependencies"
        );
        Ok(crates)
    }

    /// The crates of others.
    pub fn of_others(&self) -> impl Iterator<Item = (&String, &LinkedCrate)> {
        let crates = self.0.iter();
        crates.filter(|(_, linked)| linked.package.source.is_some())
    }

    fn add(&mut self, root: &str, target: &str) -> Result<()> {
        let metadata = MetadataCommand::new()
            .current_dir(paths::root())
            .other_options(["--locked", "--filter-platform", target].map(str::to_owned))
            .exec()?;
        let package = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name.as_str() == root);
        let mut waiting = vec![
            package
                .with_context(|| format!("no crate {root}"))?
                .id
                .clone(),
        ];
        let mut visited = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if !visited.insert(id.clone()) {
                continue;
            }
            let package = &metadata[&id];
            let used = normal(&metadata, &id)?;
            let purls = used.iter().map(|id| purl(&metadata[id]));
            let linked = self.0.entry(purl(package)).or_insert_with(|| LinkedCrate {
                package: package.clone(),
                uses: BTreeSet::new(),
            });
            // Another target may use more.
            linked.uses.extend(purls);
            waiting.extend(used);
        }
        Ok(())
    }
}

/// What a crate links: neither its tests' crates nor those of its build script.
fn normal(metadata: &Metadata, id: &PackageId) -> Result<Vec<PackageId>> {
    let resolve = metadata.resolve.as_ref();
    let node = resolve.and_then(|resolve| resolve.nodes.iter().find(|node| node.id == *id));
    let node = node.with_context(|| format!("cargo metadata does not resolve {id}"))?;
    let linked = node.deps.iter().filter(|dependency| {
        let mut kinds = dependency.dep_kinds.iter();
        kinds.any(|kind| kind.kind == DependencyKind::Normal)
    });
    Ok(linked.map(|dependency| dependency.pkg.clone()).collect())
}

fn purl(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}
