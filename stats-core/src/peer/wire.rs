//! The protobuf messages in which a workload travels, with the fields that are used here. Which keys
//! there are is in [`workload`](super::workload).

use alloc::string::String;
use alloc::vec::Vec;

/// `google.protobuf.Struct`. A map is on the wire a list of entries, and is kept as one: a real one has
/// a few dozen entries, and the code of a tree would be a tenth of the module.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Struct {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<StructEntry>,
}

/// An entry of a [`Struct`].
#[derive(Clone, PartialEq, prost::Message)]
struct StructEntry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<StructValue>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StructValue {
    /// What it is; `None` for numbers and null, which nothing here needs.
    #[prost(oneof = "Kind", tags = "3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// What a [`StructValue`] can be.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "4")]
    Bool(bool),
    /// A struct.
    #[prost(message, tag = "5")]
    Struct(Struct),
    /// A list.
    #[prost(message, tag = "6")]
    List(List),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct List {
    /// Its elements.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<StructValue>,
}

impl Struct {
    /// What is at `key`. Of several the last counts, as protobuf has it.
    pub fn get(&self, key: &str) -> Option<&Kind> {
        let field = self.fields.iter().rev().find(|field| field.key == key)?;
        field.value.as_ref()?.kind.as_ref()
    }

    /// Whether there is anything at `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }

    /// The text at `key`, or nothing where there is no text.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Kind::Text(text)) => text,
            _ => "",
        }
    }

    /// All texts, with their keys.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .filter_map(|field| match field.value.as_ref()?.kind.as_ref()? {
                Kind::Text(text) => Some((&*field.key, &**text)),
                _ => None,
            })
    }

    /// The struct at `key`.
    pub fn nested(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Some(Kind::Struct(nested)) => Some(nested),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Puts something at `key` in a struct that was made of such calls, which is sorted. One that
    /// was decoded need not be.
    pub fn insert(&mut self, key: &str, kind: Kind) {
        let value = Some(StructValue { kind: Some(kind) });
        match self.fields.binary_search_by(|field| (*field.key).cmp(key)) {
            Ok(at) => self.fields[at].value = value,
            Err(at) => {
                let key = key.into();
                self.fields.insert(at, StructEntry { key, value });
            }
        }
    }
}

impl<'a> FromIterator<(&'a str, Kind)> for Struct {
    fn from_iter<T: IntoIterator<Item = (&'a str, Kind)>>(entries: T) -> Self {
        let mut fields = Self::default();
        for (key, kind) in entries {
            fields.insert(key, kind);
        }
        fields
    }
}
