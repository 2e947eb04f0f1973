//! Which names more than one type has.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemStruct, ItemTrait, ItemType};

use crate::source::Crate;

/// Names that more than one type or trait has, and where. Not names whose places are all in `exempt` packages. Within a
/// file a name counts once: there, types of one name are alternatives by `cfg`.
pub fn shared(crates: &[Crate], exempt: &[&str]) -> Vec<String> {
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for module in crates.iter().flat_map(|one| &one.modules) {
        let mut names = Names(Vec::new());
        names.visit_file(&module.syntax);
        for name in names.0 {
            let place = format!("{}:{}", module.file, name.span().start().line);
            let places = types.entry(name.to_string()).or_default();
            let file = format!("{}:", module.file);
            if !places.iter().any(|known| known.starts_with(&file)) {
                places.push(place);
            }
        }
    }
    types
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .filter(|(_, places)| !places.iter().all(|place| is_in(place, exempt)))
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect()
}

fn is_in(place: &str, packages: &[&str]) -> bool {
    packages
        .iter()
        .any(|package| place.starts_with(&format!("{package}/")))
}

struct Names(Vec<Ident>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.0.push(item.ident.clone());
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.0.push(item.ident.clone());
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.0.push(item.ident.clone());
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.0.push(item.ident.clone());
        visit::visit_item_trait(self, item);
    }
}

#[test]
fn a_name_of_two_types_is_found_in_each_place_and_tests_may_have_it_too() {
    let one = Crate::of(&[
        ("", "struct Plan;"),
        (
            "a",
            "\nenum Plan {}\nstruct Other;\n#[cfg(x)]\nstruct Other;",
        ),
    ]);
    let test = Crate::of(&[("", "#[cfg(test)] mod tests { struct Other; }")]);
    assert_eq!(shared(&[one, test], &[]), ["Plan: lib.rs:1, a.rs:2"]);
}
