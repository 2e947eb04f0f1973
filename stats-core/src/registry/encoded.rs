//! The text in which a series keeps its labels: as it stands on a page, so that nothing has to be
//! escaped there again. What is sought is compared with it as it is, without being encoded.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};

use super::error::RegistryError;
use super::labels::{LabelSet, LabelValue, Visitor};
use super::lock::Joint;
use super::names::{escape, is_label_name, unescape};

/// A label set as a series keeps it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    /// `a="1",b="2"`, escaped, in the order in which the labels were given.
    pub text: Joint<str>,
    /// The same in the order of the names, where that is another one: what makes two sets equal.
    canonical: Option<Joint<str>>,
    /// Whether nothing in the text is escaped and no name is in quotes: then all quotes are those
    /// around the values.
    is_plain: bool,
}

/// Writes the values of a set whose names are known.
struct Encoder<'a> {
    text: String,
    prefixes: &'a [Box<str>],
    escapes: bool,
}

impl Visitor for Encoder<'_> {
    #[inline]
    fn value(&mut self, value: &(impl LabelValue + ?Sized)) {
        if let Some((prefix, prefixes)) = self.prefixes.split_first() {
            self.prefixes = prefixes;
            self.text.push_str(prefix);
            value.with_text(|value| {
                if self.escapes {
                    // A string takes whatever is written.
                    let _ = escape(value, true, &mut self.text);
                } else {
                    self.text.push_str(value);
                }
            });
            self.text.push('"');
        }
    }
}

/// Room for the text of most label sets.
const USUAL_LENGTH: usize = 256;

impl Encoded {
    /// `prefixes` are those of the names, see [`prefixes`].
    pub fn typed<L: LabelSet>(labels: &L, prefixes: &[Box<str>]) -> Self {
        let encode = |escapes| {
            let mut encoder = Encoder {
                text: String::with_capacity(USUAL_LENGTH),
                prefixes,
                escapes,
            };
            labels.each_value(&mut encoder);
            encoder.text
        };
        // Seldom has a value to be escaped, and seeing it afterwards takes less than looking at each.
        let text = encode(false);
        let is_plain = is_plain(&text, prefixes.len());
        Self {
            is_plain,
            text: if is_plain { text } else { encode(true) }.into(),
            canonical: None,
        }
    }

    pub fn dynamic(labels: &[(&str, &str)]) -> Self {
        let encode = |labels: &[(&str, &str)]| {
            let lengths = labels
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4);
            let mut text = String::with_capacity(lengths.sum::<usize>().saturating_sub(1));
            for (name, value) in labels {
                push(&mut text, name, value);
            }
            Joint::<str>::from(text)
        };
        let canonical = (!labels.is_sorted()).then(|| {
            let mut sorted = labels.to_owned();
            sorted.sort_unstable();
            encode(&sorted)
        });
        let text = encode(labels);
        Self {
            is_plain: is_plain(&text, labels.len()),
            text,
            canonical,
        }
    }

    /// Whether these are the values, the names being known to be the same.
    #[inline]
    pub fn has_values<L: LabelSet>(&self, labels: &L, prefixes: &[Box<str>]) -> bool {
        let mut seeker = Seeker {
            rest: Some(self.text.as_bytes()),
            prefixes,
            is_plain: self.is_plain,
        };
        labels.each_value(&mut seeker);
        seeker.rest.is_some_and(<[u8]>::is_empty)
    }

    /// Whether these are the labels, in any order.
    pub fn is(&self, labels: &[(&str, &str)]) -> bool {
        has_labels(labels, &self.text, self.is_plain) || Self::dynamic(labels).key() == self.key()
    }

    /// Refuses names that a label cannot have, see [`check_names`].
    pub fn check_names(&self, others: &str, rules: LabelRules) -> Result<(), RegistryError> {
        let names: Vec<String> = pairs(&self.text).map(|(name, _)| name).collect();
        check_names(&names.iter().map(String::as_str), others, rules)
    }

    /// Whether it is this one itself, or a clone.
    pub fn is_same(&self, other: &Self) -> bool {
        Joint::ptr_eq(&self.text, &other.text)
    }

    /// Equal for equal sets, and in the order of which series stand on a page.
    pub fn key(&self) -> &str {
        self.canonical.as_deref().unwrap_or(&self.text)
    }
}

/// Whether nothing in the text of so many labels has to be escaped, and no name is in quotes: then all
/// quotes are those around the values.
fn is_plain(text: &str, labels: usize) -> bool {
    let special =
        |byte: &u8| u8::from(*byte == b'"') + u8::from(*byte == b'\\') + u8::from(*byte == b'\n');
    // Without a branch and in bytes, which the compiler turns into many at a time.
    let count = |bytes: &[u8]| bytes.iter().map(special).sum::<u8>();
    let chunks = text.as_bytes().chunks(usize::from(u8::MAX));
    chunks.map(|bytes| usize::from(count(bytes))).sum::<usize>() == 2 * labels
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

/// What stands before each of the values, from the end of the one before: `a="`, then `,b="`.
pub(super) fn prefixes(names: &[&str]) -> Box<[Box<str>]> {
    let mut text = String::new();
    let prefixes = names.iter().map(|name| {
        let before = text.len();
        push(&mut text, name, "");
        let prefix = text.get(before..text.len() - 1).unwrap_or_default();
        Box::from(prefix)
    });
    prefixes.collect()
}

/// Goes through a series' text as values are shown to it, as far as they are there.
struct Seeker<'a> {
    rest: Option<&'a [u8]>,
    prefixes: &'a [Box<str>],
    is_plain: bool,
}

impl Visitor for Seeker<'_> {
    #[inline]
    fn value(&mut self, value: &(impl LabelValue + ?Sized)) {
        self.rest = self.rest.and_then(|rest| {
            let (prefix, prefixes) = self.prefixes.split_first()?;
            self.prefixes = prefixes;
            // The name may be anything, but a quote stands before the value and one behind it. Of a plain
            // text that are all there are, so that no value that has one itself can be found in it.
            let (name, rest) = rest.split_at_checked(prefix.len())?;
            if name.last() != Some(&b'"') {
                return None;
            }
            let rest = if self.is_plain {
                value.strip_from(rest)
            } else {
                value.with_text(|value| after_escaped(rest, value.as_bytes()))
            };
            rest?.strip_prefix(b"\"")
        });
    }
}

/// Whether a series' text has these labels in this order.
fn has_labels(labels: &[(&str, &str)], text: &str, is_plain: bool) -> bool {
    let after = |text, value: &str| {
        if is_plain {
            value.strip_from(text)
        } else {
            after_escaped(text, value.as_bytes())
        }
    };
    let mut rest = Some(text.as_bytes());
    for (at, (name, value)) in labels.iter().enumerate() {
        rest = rest.and_then(|rest| {
            let rest = if at == 0 {
                rest
            } else {
                rest.strip_prefix(b",")?
            };
            let rest = match rest.strip_prefix(b"\"") {
                Some(quoted) => after_escaped(quoted, name.as_bytes())?.strip_prefix(b"\"")?,
                None => rest.strip_prefix(name.as_bytes())?,
            };
            after(rest.strip_prefix(b"=\"")?, value)?.strip_prefix(b"\"")
        });
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// What stands behind this value, escaped.
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
    let mut values = Hashed(hasher.build_hasher());
    labels.each_value(&mut values);
    values.0.finish()
}

/// Hashes the values that it is shown.
struct Hashed<H>(H);

impl<H: Hasher> Visitor for Hashed<H> {
    #[inline]
    fn value(&mut self, value: &(impl LabelValue + ?Sized)) {
        value.hash_into(&mut self.0);
    }
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
