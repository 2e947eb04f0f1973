//! The text in which a series keeps its labels: as it stands on a page, so that nothing has to be
//! escaped there again. What is sought is compared with it as it is, without being encoded.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};

use super::error::RegistryError;
use super::labels::LabelSet;
use super::names::{escape, is_label_name, unescape};

/// A label set as a series keeps it.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    /// `a="1",b="2"`, escaped, in the order in which the labels were given.
    pub text: Box<str>,
    /// The same in the order of the names, where that is another one: what makes two sets equal.
    canonical: Option<Box<str>>,
}

impl Encoded {
    pub fn typed<L: LabelSet>(labels: &L) -> Self {
        let mut text = String::new();
        let mut names = L::NAMES.iter();
        labels.each_value(&mut |value| {
            if let Some(name) = names.next() {
                push(&mut text, name, value);
            }
        });
        Self {
            text: text.into(),
            canonical: None,
        }
    }

    pub fn dynamic(labels: &[(&str, &str)]) -> Self {
        let encode = |labels: &[(&str, &str)]| {
            let mut text = String::new();
            for (name, value) in labels {
                push(&mut text, name, value);
            }
            text.into_boxed_str()
        };
        let canonical = (!labels.is_sorted()).then(|| {
            let mut sorted = labels.to_owned();
            sorted.sort_unstable();
            encode(&sorted)
        });
        Self {
            text: encode(labels),
            canonical,
        }
    }

    /// Whether these are the labels, in any order.
    pub fn is(&self, labels: &[(&str, &str)]) -> bool {
        has_labels(labels, &self.text) || Self::dynamic(labels).key() == self.key()
    }

    /// Refuses names that a label cannot have, see [`check_names`].
    pub fn check_names(&self, others: &str, rules: LabelRules) -> Result<(), RegistryError> {
        let names: Vec<String> = pairs(&self.text).map(|(name, _)| name).collect();
        check_names(&names.iter().map(String::as_str), others, rules)
    }

    /// Equal for equal sets, and in the order of which series stand on a page.
    pub fn key(&self) -> &str {
        self.canonical.as_deref().unwrap_or(&self.text)
    }
}

/// Appends a label to others.
pub(super) fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    // A string takes whatever is written.
    if is_label_name(name) {
        text.push_str(name);
    } else {
        text.push('"');
        let _ = escape(name, true, text);
        text.push('"');
    }
    text.push_str("=\"");
    let _ = escape(value, true, text);
    text.push('"');
}

/// How many bytes stand before each of the values, from the end of the one before: so that a look-up
/// passes over them. The first has no comma before it.
pub(super) fn widths(names: &[&str]) -> Box<[usize]> {
    let mut text = String::new();
    let widths = names.iter().map(|name| {
        let before = text.len();
        push(&mut text, name, "");
        text.len() - before - 1
    });
    widths.collect()
}

/// Whether a series' text has these values, the names being known to be the same.
#[inline]
pub(super) fn has_values<L: LabelSet>(labels: &L, widths: &[usize], text: &str) -> bool {
    let mut rest = Some(text.as_bytes());
    let mut widths = widths.iter();
    labels.each_value(&mut |value| {
        rest = rest.and_then(|rest| {
            let rest = rest.get(*widths.next()?..)?;
            after_value(rest, value)?.strip_prefix(b"\"")
        });
    });
    rest.is_some_and(<[u8]>::is_empty)
}

/// Whether a series' text has these labels in this order.
pub(super) fn has_labels(labels: &[(&str, &str)], text: &str) -> bool {
    let mut rest = Some(text.as_bytes());
    for (at, (name, value)) in labels.iter().enumerate() {
        rest = rest.and_then(|rest| {
            let rest = if at == 0 {
                rest
            } else {
                rest.strip_prefix(b",")?
            };
            let rest = match rest.strip_prefix(b"\"") {
                Some(quoted) => after_value(quoted, name)?.strip_prefix(b"\"")?,
                None => rest.strip_prefix(name.as_bytes())?,
            };
            after_value(rest.strip_prefix(b"=\"")?, value)?.strip_prefix(b"\"")
        });
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// What stands behind this value, escaped.
#[inline]
fn after_value<'a>(text: &'a [u8], value: &str) -> Option<&'a [u8]> {
    let value = value.as_bytes();
    // Without a way out of the loop, so that it is compiled to vector instructions.
    let special = value.iter().fold(0, |special, byte| {
        special | u8::from(matches!(byte, b'"' | b'\\' | b'\n'))
    });
    if special == 0 {
        text.strip_prefix(value)
    } else {
        after_escaped(text, value)
    }
}

#[cold]
fn after_escaped<'a>(text: &'a [u8], value: &[u8]) -> Option<&'a [u8]> {
    value.iter().try_fold(text, |text, byte| match byte {
        b'\n' => text.strip_prefix(b"\\n"),
        b'\\' => text.strip_prefix(b"\\\\"),
        b'"' => text.strip_prefix(b"\\\""),
        other => text.strip_prefix(&[*other]),
    })
}

/// The hash of a typed set.
#[inline]
pub(super) fn hash_values<L: LabelSet>(hasher: &impl BuildHasher, labels: &L) -> u64 {
    let mut state = hasher.build_hasher();
    labels.each_value(&mut |value| {
        state.write(value.as_bytes());
        state.write_u8(0xff); // in no UTF-8, so that it ends a value
    });
    state.finish()
}

/// The hash of a dynamic set: the same in any order of the labels.
pub(super) fn hash_labels(hasher: &impl BuildHasher, labels: &[(&str, &str)]) -> u64 {
    let each = labels.iter().map(|label| hasher.hash_one(label));
    each.fold(0, u64::wrapping_add)
}

/// The labels of a text, unescaped.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut rest = text;
    core::iter::from_fn(move || {
        rest = rest.strip_prefix(',').unwrap_or(rest);
        let name = if let Some(quoted) = rest.strip_prefix('"') {
            let end = closing_quote(quoted)?;
            rest = quoted.get(end + 1..)?;
            unescape(quoted.get(..end)?)
        } else {
            let (name, _) = rest.split_once('=')?;
            rest = rest.get(name.len()..)?;
            name.to_owned()
        };
        let value = rest.strip_prefix("=\"")?;
        let end = closing_quote(value)?;
        rest = value.get(end + 1..)?;
        Some((name, unescape(value.get(..end)?)))
    })
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// Refuses names that no label can have, or that are there twice. `others` are labels that the series
/// has besides.
pub(super) fn check_names<'a>(
    names: &(impl Iterator<Item = &'a str> + Clone),
    others: &str,
    rules: LabelRules,
) -> Result<(), RegistryError> {
    for (nth, name) in names.clone().enumerate() {
        let legal = if rules.utf8 {
            !name.is_empty() && !name.starts_with("__")
        } else {
            is_label_name(name)
        };
        if !legal || (rules.histogram && name == "le") {
            return Err(RegistryError::LabelName(name.to_owned()));
        }
        let mut before = names.clone().take(nth);
        if before.any(|other| other == name) || pairs(others).any(|(other, _)| other == name) {
            return Err(RegistryError::DuplicateLabel(name.to_owned()));
        }
    }
    Ok(())
}

/// Which names a label can have.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelRules {
    /// Any text, not only letters, digits and `_`.
    pub utf8: bool,
    /// Not `le`, which the buckets have.
    pub histogram: bool,
}
