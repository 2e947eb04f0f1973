//! Values of a configuration, each with its JSON path, as the types that a field wants.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::ConfigError;
use super::json::{self, Json};
use crate::labels::operation::Operations;

/// The most bytes of a metric's or a label's name.
const MAX_NAME_BYTES: usize = 200;

/// The fields of an object that have not been taken yet.
pub struct JsonFields {
    path: String,
    fields: Vec<(String, Json)>,
}

impl JsonFields {
    /// Parses a field into a setting, where it is there.
    pub fn read<T>(
        &mut self,
        name: &str,
        setting: &mut T,
        parse: impl FnOnce(JsonField) -> Result<T, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(field) = self.take(name) {
            *setting = parse(field)?;
        }
        Ok(())
    }

    /// Takes a field that must be there.
    pub fn required(&mut self, name: &str) -> Result<JsonField, ConfigError> {
        self.take(name).ok_or_else(|| ConfigError {
            path: self.path.clone(),
            problem: format!("the field {name} is missing"),
        })
    }

    /// Takes a field by its `snake_case` name, or the same in `camelCase`.
    pub fn take(&mut self, name: &str) -> Option<JsonField> {
        let snake = json::take(&mut self.fields, name);
        let value = snake.or_else(|| json::take(&mut self.fields, &camel_case(name)))?;
        let path = format!("{}.{name}", self.path);
        (value != Json::Null).then_some(JsonField { path, value })
    }

    /// Warns of the fields that are left.
    pub fn warn_of_the_rest(self, warnings: &mut Vec<String>) {
        for (name, _) in self.fields {
            let (path, name) = (&self.path, name.escape_debug());
            warnings.push(format!(
                "configuration at {path}.{name}: no such field, ignored"
            ));
        }
    }
}

/// One value, and where it stands.
pub struct JsonField {
    path: String,
    value: Json,
}

impl JsonField {
    /// The whole document.
    pub fn root(value: Json) -> Self {
        Self {
            path: "$".to_owned(),
            value,
        }
    }

    /// True or false.
    pub fn boolean(self) -> Result<bool, ConfigError> {
        match self.value {
            Json::Bool(value) => Ok(value),
            _ => Err(self.mismatch("true or false")),
        }
    }

    /// A text.
    pub fn text(self) -> Result<String, ConfigError> {
        match self.value {
            Json::Text(text) => Ok(text),
            _ => Err(self.mismatch("a text")),
        }
    }

    /// A whole number from zero; protobuf's JSON may write it as text.
    pub fn count(self) -> Result<usize, ConfigError> {
        let number = match &self.value {
            Json::Text(text) => text.parse().ok(),
            other => other.count(),
        };
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.mismatch("a whole number from 0"))
    }

    /// A share, in percent: a whole number from 1 to 100.
    pub fn percent(self) -> Result<u8, ConfigError> {
        let number = match &self.value {
            Json::Text(text) => text.parse().ok(),
            other => other.count(),
        };
        match number.and_then(|number| u8::try_from(number).ok()) {
            Some(percent @ 1..=100) => Ok(percent),
            _ => Err(self.mismatch("a whole number from 1 to 100")),
        }
    }

    /// What can be a metric's or a label's name.
    pub fn name(self) -> Result<String, ConfigError> {
        match &self.value {
            Json::Text(text) if is_name(text) && text.len() <= MAX_NAME_BYTES => Ok(text.clone()),
            _ => Err(self.mismatch("letters, digits and _, no digit first, at most 200")),
        }
    }

    /// A protobuf duration.
    pub fn duration(self) -> Result<Duration, ConfigError> {
        let text = self.value.text().and_then(|text| text.strip_suffix('s'));
        let parsed = text.and_then(|seconds| {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
                return None;
            }
            let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
            Some(Duration::new(
                whole.parse::<u32>().ok()?.into(),
                nanoseconds,
            ))
        });
        parsed.ok_or_else(|| self.mismatch("a duration such as \"5s\" or \"0.5s\""))
    }

    /// A protobuf enum: JSON has its name or its number.
    pub fn numbered<T: Copy, const N: usize>(
        self,
        values: [(&str, T); N],
    ) -> Result<T, ConfigError> {
        let by_name = |text: &str| values.iter().find(|(name, _)| *name == text);
        let by_number = |number: u64| values.get(usize::try_from(number).ok()?);
        let found = match &self.value {
            Json::Text(text) => by_name(text),
            other => other.count().and_then(by_number),
        };
        match found {
            Some((_, value)) => Ok(*value),
            None => Err(self.mismatch(&one_of(values.map(|(name, _)| name)))),
        }
    }

    /// One of a closed set, by name.
    pub fn choice<T: Copy, const N: usize>(
        self,
        values: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, ConfigError> {
        let found = values
            .into_iter()
            .find(|value| self.value.text() == Some(name(*value)));
        found.ok_or_else(|| self.mismatch(&one_of(values.map(name))))
    }

    /// A list, each of its elements read by `read`.
    pub fn list<T>(
        self,
        mut read: impl FnMut(Self) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let mut list = Vec::new();
        self.each(&mut |element| {
            list.push(read(element)?);
            Ok(())
        })?;
        Ok(list)
    }

    /// Reads each element of a list.
    fn each(
        self,
        read: &mut dyn FnMut(Self) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let Json::List(values) = self.value else {
            return Err(self.mismatch("a list"));
        };
        for (at, value) in values.into_iter().enumerate() {
            let path = format!("{}[{at}]", self.path);
            read(Self { path, value })?;
        }
        Ok(())
    }

    /// An object.
    pub fn object(self) -> Result<JsonFields, ConfigError> {
        match self.value {
            Json::Object(fields) => Ok(JsonFields {
                path: self.path,
                fields,
            }),
            _ => Err(self.mismatch("an object")),
        }
    }

    /// Label names and expressions.
    pub fn dimensions(self) -> Result<Vec<(String, String)>, ConfigError> {
        let JsonFields { path, fields } = self.object()?;
        let mut dimensions = Vec::new();
        for (label, value) in fields {
            let shown = label.get(..label.floor_char_boundary(MAX_NAME_BYTES));
            let path = format!("{path}[{:?}]", shown.unwrap_or_default());
            let name = Self {
                path: path.clone(),
                value: Json::Text(label),
            }
            .name()?;
            dimensions.push((name, Self { path, value }.text()?));
        }
        Ok(dimensions)
    }

    /// A list of operation templates.
    pub fn operations(self) -> Result<Operations, ConfigError> {
        let templates = self.list(|field| {
            let path = field.path.clone();
            Ok((path, field.text()?))
        })?;
        let mut operations = Operations::default();
        for (path, template) in templates {
            operations.add(&template).map_err(|wanted| {
                Self {
                    path,
                    value: Json::Text(template),
                }
                .mismatch(wanted)
            })?;
        }
        Ok(operations)
    }

    fn mismatch(self, wanted: &str) -> ConfigError {
        let found = match &self.value {
            Json::Null => "null".into(),
            Json::Bool(value) => value.to_string(),
            Json::Whole(number) => number.to_string(),
            Json::Negative(number) => number.to_string(),
            Json::Fraction => "a number with a fraction or an exponent".into(),
            Json::Text(text) => quoted(text),
            Json::List(_) => "a list".into(),
            Json::Object(_) => "an object".into(),
        };
        ConfigError {
            path: self.path,
            problem: format!("found {found}, wants {wanted}"),
        }
    }
}

/// A text as errors show it; of a long one only the beginning.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    let quoted = names.map(|name| format!("{name:?}"));
    format!("one of {}", quoted.join(", "))
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

pub fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
