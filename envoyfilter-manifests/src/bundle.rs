//! The files that one run produces: how they are rendered and printed.
//! Not here: their content, and how they come into a directory, see [`crate::output`].

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::Value;

/// All files of one run, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: Vec<File>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path, relative to the output directory; always with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// One YAML document: an object, and comments for readers of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    comment: String,
    notes: Vec<(&'static str, String)>,
    object: Value,
}

impl Document {
    /// A document below its comment; each of the comment's lines becomes one in the file.
    pub fn new(comment: impl Into<String>, object: Value) -> Self {
        Self {
            comment: comment.into(),
            notes: Vec::new(),
            object,
        }
    }

    /// A comment inside: above the first line with a field of that start, with the same indentation.
    #[must_use]
    pub fn note(mut self, field: &'static str, comment: impl Into<String>) -> Self {
        self.notes.push((field, comment.into()));
        self
    }

    /// The object.
    pub fn object(&self) -> &Value {
        &self.object
    }

    fn render(&self) -> Result<String> {
        let mut text = String::new();
        push_comment(&mut text, "", &self.comment);
        let yaml = yaml_serde::to_string(&self.object)?;
        let mut notes: Vec<_> = self.notes.iter().collect();
        for line in yaml.lines() {
            let field = line.trim_start_matches([' ', '-']);
            if let Some(at) = notes.iter().position(|(name, _)| field.starts_with(name)) {
                let (_, comment) = notes.remove(at);
                let indent = line.len() - line.trim_start().len();
                push_comment(&mut text, &" ".repeat(indent), comment);
            }
            text.push_str(line);
            text.push('\n');
        }
        if let Some((field, _)) = notes.first() {
            bail!("a comment is about {field}, which is not there");
        }
        Ok(text)
    }
}

impl Bundle {
    /// Adds a YAML file of one or more documents.
    ///
    /// # Errors
    /// When an object cannot be written as YAML.
    pub fn yaml(&mut self, path: &str, documents: &[Document]) -> Result<()> {
        let documents: Vec<String> = documents
            .iter()
            .map(Document::render)
            .collect::<Result<_>>()?;
        self.text(path, documents.join("---\n"));
        Ok(())
    }

    /// Adds a file as it is.
    pub fn text(&mut self, path: &str, text: String) {
        let path = path.to_owned();
        let at = self.files.partition_point(|file| file.path < path);
        self.files.insert(at, File { path, text });
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Only the files below one of these directories; without any, all of them.
    ///
    /// # Errors
    /// When a directory holds nothing.
    pub fn only(mut self, directories: &[String]) -> Result<Self> {
        let below = |file: &File, directory: &String| {
            let rest = file.path.strip_prefix(directory.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for directory in directories {
            if !self.files.iter().any(|file| below(file, directory)) {
                let known: BTreeSet<&str> = self
                    .files
                    .iter()
                    .filter_map(|file| file.path.split('/').next())
                    .collect();
                let known: Vec<&str> = known.into_iter().collect();
                bail!(
                    "--only: there is nothing below {directory}; choose of {}",
                    known.join(", ")
                );
            }
        }
        self.files.retain(|file| {
            directories.is_empty() || directories.iter().any(|directory| below(file, directory))
        });
        Ok(self)
    }

    /// Everything as one stream of YAML documents (JSON is YAML too), each file below its path.
    pub fn stream(&self) -> String {
        let mut stream = String::new();
        for File { path, text } in &self.files {
            // Cannot fail: it writes into a string.
            let _ = write!(stream, "---\n# file: {path}\n{text}");
        }
        stream
    }
}

fn push_comment(text: &mut String, indent: &str, comment: &str) {
    for line in comment.lines() {
        let comment = format!("{indent}# {line}");
        text.push_str(comment.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comments_stand_above_what_they_are_about() {
        let document = Document::new("One.\n\nTwo.", json!({ "a": { "b": [{ "c": 1 }] } }))
            .note("c:", "Three.");
        assert_eq!(
            document.render().unwrap(),
            "# One.\n#\n# Two.\na:\n  b:\n  # Three.\n  - c: 1\n"
        );
    }
}
