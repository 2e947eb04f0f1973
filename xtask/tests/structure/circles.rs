//! Which modules use which, and whether that leads in a circle.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, Macro, UseTree};

use crate::source::{Crate, Module};

/// Longer chains of re-exports than this are taken for circles of their own.
const RE_EXPORTS: usize = 16;

/// Circles, one line each: the modules of the circle, and where each uses the next.
pub fn find(one: &Crate) -> Vec<String> {
    let graph = Graph::of(one);
    let mut circles = Vec::new();
    for parent in &one.modules {
        let uses = graph.among_children(one, &parent.path);
        for names in components(&uses) {
            let places: Vec<String> = uses
                .iter()
                .filter(|((from, to), _)| names.contains(from) && names.contains(to))
                .map(|((from, to), place)| format!("{from} uses {to} ({place})"))
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            circles.push(format!(
                "{} in {}: {}",
                names.join(" <-> "),
                parent.name(),
                places.join(", ")
            ));
        }
    }
    circles
}

/// Which module uses which, and the first place where it does.
struct Graph {
    uses: BTreeMap<(usize, usize), String>,
}

/// Names of children, and where one uses another.
type Siblings = BTreeMap<(String, String), String>;

impl Graph {
    fn of(one: &Crate) -> Self {
        let scopes: Vec<Scope> = one.modules.iter().map(Scope::of).collect();
        let mut uses = BTreeMap::new();
        for (from, (module, scope)) in one.modules.iter().zip(&scopes).enumerate() {
            for path in &scope.paths {
                let mut found = BTreeSet::new();
                resolve(one, &scopes, from, &path.names, RE_EXPORTS, &mut found);
                for to in found.into_iter().filter(|to| *to != from) {
                    let place = || format!("{}:{}", module.file, path.line);
                    uses.entry((from, to)).or_insert_with(place);
                }
            }
        }
        Self { uses }
    }

    /// The uses among the children of a module, each child with everything below it.
    fn among_children(&self, one: &Crate, parent: &[String]) -> Siblings {
        let child = |module: usize| {
            let below = one.modules[module].path.strip_prefix(parent)?;
            below.first().cloned()
        };
        let mut siblings = Siblings::new();
        for ((from, to), place) in &self.uses {
            if let (Some(from), Some(to)) = (child(*from), child(*to))
                && from != to
            {
                siblings.entry((from, to)).or_insert_with(|| place.clone());
            }
        }
        siblings
    }
}

/// The sets of names that lead to each other.
fn components(uses: &Siblings) -> Vec<BTreeSet<String>> {
    let reachable = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            for (_, to) in uses.keys().filter(|(from, _)| from == name) {
                if reached.insert(to.clone()) {
                    open.push(to);
                }
            }
        }
        reached
    };
    let names: BTreeSet<&String> = uses.keys().map(|(from, _)| from).collect();
    let reached: BTreeMap<&String, BTreeSet<String>> = names
        .into_iter()
        .map(|name| (name, reachable(name)))
        .collect();
    let circles: BTreeSet<BTreeSet<String>> = reached
        .iter()
        .filter(|(name, reached)| reached.contains(**name))
        .map(|(name, to)| {
            let back =
                |other: &&String| reached.get(other).is_some_and(|back| back.contains(*name));
            to.iter().filter(back).cloned().collect()
        })
        .collect();
    circles.into_iter().collect()
}

/// A path as it stands in a file.
struct Path {
    names: Vec<String>,
    line: usize,
}

/// What names mean in a file.
#[derive(Default)]
struct Scope {
    /// Imported names, and the paths behind them.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths whose names are all imported.
    globs: Vec<Vec<String>>,
    /// All paths.
    paths: Vec<Path>,
    /// All single names: they may come from a glob.
    names: BTreeMap<String, usize>,
    /// Modules inside this file that the visitor is in.
    depth: usize,
}

impl Scope {
    fn of(module: &Module) -> Self {
        let mut scope = Self::default();
        scope.visit_file(&module.syntax);
        // A glob uses what is named of it.
        let names: Vec<(String, usize)> = std::mem::take(&mut scope.names).into_iter().collect();
        for glob in scope.globs.clone() {
            for (name, line) in &names {
                let names = [glob.clone(), vec![name.clone()]].concat();
                scope.paths.push(Path { names, line: *line });
            }
        }
        scope
    }

    fn path(&mut self, names: Vec<String>, span: Span) {
        let line = span.start().line;
        match <[String; 1]>::try_from(self.leave_inline(names)) {
            Ok([name]) => {
                self.names.entry(name).or_insert(line);
            }
            Err(names) => self.paths.push(Path { names, line }),
        }
    }

    /// A `super` inside a module of the file leads to the file, and not out of it.
    fn leave_inline(&self, mut names: Vec<String>) -> Vec<String> {
        for _ in 0..self.depth {
            if names.first().is_some_and(|name| name == "super") {
                "self".clone_into(&mut names[0]);
                if names.get(1).is_some_and(|name| name == "super") {
                    names.remove(0);
                }
            }
        }
        names
    }

    fn import(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &str| [before, &[name.to_owned()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident.to_string()), &path.tree),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(before, tree);
                }
            }
            UseTree::Glob(glob) => {
                let path = self.leave_inline(before.to_vec());
                self.path(
                    [&path[..], &["*".to_owned()]].concat(),
                    glob.star_token.spans[0],
                );
                self.globs.push(path);
            }
            UseTree::Name(name) => {
                let ident = name.ident.to_string();
                self.import_as(with(&ident), ident, name.ident.span());
            }
            UseTree::Rename(rename) => {
                let path = with(&rename.ident.to_string());
                self.import_as(path, rename.rename.to_string(), rename.ident.span());
            }
        }
    }

    fn import_as(&mut self, mut path: Vec<String>, mut name: String, span: Span) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
            if name == "self" {
                name = path.last().cloned().unwrap_or_default();
            }
        }
        let path = self.leave_inline(path);
        // `use a;` of one name leads nowhere that the name itself does not.
        if path.len() > 1 {
            self.imports.insert(name, path.clone());
        }
        self.path(path, span);
    }

    /// What looks like paths among tokens: macros are not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut names = vec![first.to_string()];
                    loop {
                        let mut ahead = tokens.clone();
                        let colon = |token: Option<TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
                        if !colon(ahead.next()) || !colon(ahead.next()) {
                            break;
                        }
                        let Some(TokenTree::Ident(next)) = ahead.next() else {
                            break;
                        };
                        names.push(next.to_string());
                        tokens = ahead;
                    }
                    self.path(names, first.span());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Scope {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        if let Some(first) = path.segments.first() {
            self.path(names.collect(), first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// Adds the modules to which a path in the module `from` leads: each that re-exports, and the one that defines.
fn resolve(
    one: &Crate,
    scopes: &[Scope],
    from: usize,
    path: &[String],
    re_exports: usize,
    found: &mut BTreeSet<usize>,
) {
    let Some(re_exports) = re_exports.checked_sub(1) else {
        return;
    };
    let Some((mut at, mut rest)) = start(one, scopes, from, path) else {
        return;
    };
    while let Some((name, after)) = rest.split_first() {
        let child = [&one.modules[at].path[..], std::slice::from_ref(name)].concat();
        if let Some(child) = one.at(&child) {
            (at, rest) = (child, after);
            continue;
        }
        if let Some(import) = scopes[at].imports.get(name) {
            found.insert(at);
            let path = [&import[..], after].concat();
            resolve(one, scopes, at, &path, re_exports, found);
            return;
        }
        if !defines(&one.modules[at], name) {
            for glob in &scopes[at].globs {
                let path = [&glob[..], rest].concat();
                resolve(one, scopes, at, &path, re_exports, found);
            }
        }
        break;
    }
    found.insert(at);
}

/// The module in which a path begins, and what follows; `None` for another crate's.
fn start<'a>(
    one: &Crate,
    scopes: &[Scope],
    from: usize,
    path: &'a [String],
) -> Option<(usize, &'a [String])> {
    let (first, mut rest) = path.split_first()?;
    let mut module = one.modules[from].path.clone();
    match first.as_str() {
        "crate" => module.clear(),
        "self" => {}
        "super" => {
            module.pop();
            while let Some((name, after)) = rest.split_first().filter(|(name, _)| *name == "super")
            {
                debug_assert_eq!(name, "super");
                module.pop();
                rest = after;
            }
        }
        name => {
            let child = one
                .at(&[&module[..], &[name.to_owned()]].concat())
                .is_some();
            let known = child
                || scopes[from].imports.contains_key(name)
                || defines(&one.modules[from], name);
            if !known {
                return None;
            }
            rest = path;
        }
    }
    Some((one.at(&module)?, rest))
}

fn defines(module: &Module, name: &str) -> bool {
    let is = |ident: &syn::Ident| ident == name;
    module.syntax.items.iter().any(|item| match item {
        Item::Const(item) => is(&item.ident),
        Item::Enum(item) => is(&item.ident),
        Item::Fn(item) => is(&item.sig.ident),
        Item::Mod(item) => is(&item.ident),
        Item::Static(item) => is(&item.ident),
        Item::Struct(item) => is(&item.ident),
        Item::Trait(item) => is(&item.ident),
        Item::Type(item) => is(&item.ident),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_that_use_each_other_are_a_circle_and_each_place_is_named() {
        let one = Crate::of(&[
            ("", "mod a; mod b; mod c;"),
            ("a", "\nuse crate::b::B;\npub struct A;"),
            ("b", "pub struct B(super::a::A);"),
            ("c", "use crate::a::A;"),
        ]);
        assert_eq!(
            find(&one),
            ["a <-> b in crate: a uses b (a.rs:2), b uses a (b.rs:1)"]
        );
    }

    #[test]
    fn a_longer_circle_is_found_too() {
        let one = Crate::of(&[
            ("", "mod a; mod b; mod c;"),
            ("a", "fn a() { crate::b::b() }"),
            ("b", "use super::c; pub fn b() { c::c() }"),
            ("c", "pub fn c() { let _ = vec![crate::a::A]; }"),
        ]);
        let [circle] = &find(&one)[..] else {
            panic!("{:?}", find(&one));
        };
        assert!(circle.starts_with("a <-> b <-> c in crate: "), "{circle}");
    }

    #[test]
    fn a_parent_and_its_children_may_use_each_other() {
        let one = Crate::of(&[
            ("", "mod a; fn root() { a::b::b(crate::a::A) }"),
            (
                "a",
                "mod b; mod c; pub struct A; pub use b::b; fn a() { c::c() }",
            ),
            (
                "a::b",
                "use super::A; use crate::root; pub fn b(_: A) { root() }",
            ),
            ("a::c", "use super::b; pub fn c() { b::b(super::A) }"),
        ]);
        assert_eq!(find(&one), [""; 0]);
    }

    #[test]
    fn a_re_export_by_the_parent_hides_no_circle() {
        let one = Crate::of(&[
            ("", "mod a;"),
            ("a", "mod b; mod c; pub use b::B; use c::C;"),
            ("a::b", "use super::C; pub struct B(C);"),
            ("a::c", "use super::*; pub struct C(Option<Box<B>>);"),
        ]);
        assert_eq!(
            find(&one),
            ["b <-> c in a: b uses c (a/b.rs:1), c uses b (a/c.rs:1)"]
        );
    }

    #[test]
    fn a_module_stands_for_what_is_below_it() {
        let one = Crate::of(&[
            ("", "mod a; mod b;"),
            ("a", "pub mod low; mod high;"),
            ("a::low", "pub struct Low;"),
            ("a::high", "use crate::b::B;"),
            ("b", "use crate::a::low::Low; pub struct B(Low);"),
        ]);
        assert_eq!(
            find(&one),
            ["a <-> b in crate: a uses b (a/high.rs:1), b uses a (b.rs:1)"]
        );
    }

    #[test]
    fn the_same_name_elsewhere_and_tests_are_no_use() {
        let one = Crate::of(&[
            ("", "mod a; mod b;"),
            (
                "a",
                "use std::b::B; mod inner { use super::A; } struct A; fn f() { x.b(); }",
            ),
            (
                "b",
                "use crate::a; #[cfg(test)] mod tests { use super::*; }",
            ),
        ]);
        assert_eq!(find(&one), [""; 0]);
    }
}
