//! How long files and functions are, and how many fields structs have.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemStruct, Signature, TraitItemFn};

use crate::source::{Crate, Module};

const FILE_LINES: usize = 350;
const FUNCTION_LINES: usize = 60;
const STRUCT_FIELDS: usize = 12;

/// Files with too many lines.
pub fn long_files(one: &Crate) -> Vec<String> {
    let long = one
        .modules
        .iter()
        .filter(|module| module.lines > FILE_LINES);
    long.map(|Module { file, lines, .. }| format!("{file}: {lines} lines, at most {FILE_LINES}"))
        .collect()
}

/// Functions with too many lines.
pub fn long_functions(one: &Crate) -> Vec<String> {
    measured(one, |sizes| sizes.functions)
        .filter(|(_, _, lines)| *lines > FUNCTION_LINES)
        .map(|(place, line, lines)| {
            format!("{place}: line {line}, {lines} lines, at most {FUNCTION_LINES}")
        })
        .collect()
}

/// Structs with too many fields.
pub fn large_structs(one: &Crate) -> Vec<String> {
    measured(one, |sizes| sizes.structs)
        .filter(|(_, _, fields)| *fields > STRUCT_FIELDS)
        .map(|(place, line, fields)| {
            format!("{place}: line {line}, {fields} fields, at most {STRUCT_FIELDS}")
        })
        .collect()
}

/// Name, line, size.
type Measured = (String, usize, usize);

#[derive(Default)]
struct Sizes {
    functions: Vec<Measured>,
    structs: Vec<Measured>,
}

fn measured(one: &Crate, which: fn(Sizes) -> Vec<Measured>) -> impl Iterator<Item = Measured> {
    one.modules.iter().flat_map(move |module| {
        let mut sizes = Sizes::default();
        sizes.visit_file(&module.syntax);
        let named = |(name, line, size)| (format!("{} {name}", module.file), line, size);
        which(sizes).into_iter().map(named).collect::<Vec<_>>()
    })
}

impl Sizes {
    fn function(&mut self, signature: &Signature, block: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.span().end().line;
        self.functions
            .push((signature.ident.to_string(), first, last - first + 1));
    }
}

impl<'ast> Visit<'ast> for Sizes {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let line = item.ident.span().start().line;
        self.structs
            .push((item.ident.to_string(), line, item.fields.len()));
    }
}

#[test]
fn a_file_of_351_lines_is_too_long() {
    let file = |lines: usize| long_files(&Crate::of(&[("", &"fn a() {}\n".repeat(lines))]));
    assert_eq!(file(351), ["lib.rs: 351 lines, at most 350"]);
    assert!(file(350).is_empty());
}

#[test]
fn a_function_of_61_lines_is_too_long_wherever_it_is() {
    let function = |lines: usize| format!("fn a() {{\n{}}}\n", ";\n".repeat(lines - 2));
    for (before, after) in [
        ("", ""),
        ("struct S;\nimpl S {\n", "}"),
        ("trait T {\n", "}"),
    ] {
        let find = |lines| {
            long_functions(&Crate::of(&[(
                "",
                &format!("{before}{}{after}", function(lines)),
            )]))
        };
        assert_eq!(find(61).len(), 1, "{before}");
        assert!(find(60).is_empty(), "{before}");
    }
    assert_eq!(
        long_functions(&Crate::of(&[("", &function(61))])),
        ["lib.rs a: line 1, 61 lines, at most 60"]
    );
}

#[test]
fn a_struct_of_13_fields_is_too_large() {
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!("f{n}: u8")).collect();
        let fields = fields.join(", ");
        large_structs(&Crate::of(&[("", &format!("struct S {{ {fields} }}"))]))
    };
    assert_eq!(fields(13), ["lib.rs S: line 1, 13 fields, at most 12"]);
    assert!(fields(12).is_empty());
}
