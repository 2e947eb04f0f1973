//! JSON values, not yet of the types that a configuration wants: those are in
//! [`reader`](super::reader).
//!
//! Not `serde_json::Value`: an object there is a tree, whose code would be a twentieth of the module.
//! Here it is a list, in the order in which it was written.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from zero.
    Whole(u64),
    /// A whole number below zero.
    Negative(i64),
    /// Any other number. Nothing wants one, and to print it would take kilobytes of module.
    Fraction,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object; of several fields of one name only the last.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The text that it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number from zero that it is.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => Some(*number),
            _ => None,
        }
    }
}

/// Takes the value of a name out of an object's fields.
pub fn take(fields: &mut Vec<(String, Json)>, name: &str) -> Option<Json> {
    let at = fields.iter().position(|(field, _)| field == name)?;
    Some(fields.remove(at).1)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

/// Takes whatever comes.
struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    /// Only a number below zero comes here.
    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Negative(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Fraction)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            take(&mut fields, &name);
            fields.push((name, entries.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let json = br#"{"a": [null, true, -1, 18446744073709551615, 0.5, "x"], "b": 1, "b": {}}"#;
        let text = |text: &str| text.to_owned();
        let list = [
            Json::Null,
            Json::Bool(true),
            Json::Negative(-1),
            Json::Whole(u64::MAX),
            Json::Fraction,
            Json::Text(text("x")),
        ];
        let expected = Json::Object(Vec::from([
            (text("a"), Json::List(list.into())),
            (text("b"), Json::Object(Vec::new())),
        ]));
        assert_eq!(serde_json::from_slice::<Json>(json).ok(), Some(expected));
    }
}
