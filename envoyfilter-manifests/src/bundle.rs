//! The files that one run produces: how they are rendered, printed and written.
//! Not here: their content.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

/// Lists the files of a directory that are ours, so that the next run can replace them and remove obsolete ones.
const INDEX: &str = ".mixerless";

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

    /// Writes all files below a directory: first to a temporary directory, then each is renamed. Obsolete files of an earlier
    /// run are removed, because they would be applied with the rest. Other files stay.
    ///
    /// # Errors
    /// When the directory cannot be written, or a file to be written exists and was not made by this command.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let created = !directory.exists();
        let written = self.write_below(directory).with_context(|| {
            format!(
                "--out: cannot write to {}: choose a directory that is yours to write",
                directory.display()
            )
        });
        if written.is_err() && created {
            // No incomplete output. The directory did not exist before, so that everything in it is ours.
            let _ = fs::remove_dir_all(directory);
        }
        written
    }

    fn write_below(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        let ours = index(directory)?;
        for File { path, .. } in &self.files {
            if !ours.contains(path) && directory.join(path).exists() {
                bail!(
                    "{} exists and was not made by `mixerless manifests`; move it away, or choose another directory",
                    directory.join(path).display()
                );
            }
        }

        let staged = TempDir::with_prefix_in(".mixerless-", directory)?;
        let mut names = String::new();
        for File { path, text } in &self.files {
            let to = staged.path().join(path);
            fs::create_dir_all(parent(&to))?;
            fs::write(to, text)?;
            names.push_str(path);
            names.push('\n');
        }
        fs::write(staged.path().join(INDEX), names)?;

        for File { path, .. } in &self.files {
            let to = directory.join(path);
            fs::create_dir_all(parent(&to))?;
            fs::rename(staged.path().join(path), to)?;
        }
        for obsolete in ours
            .iter()
            .filter(|path| self.files.iter().all(|file| file.path != **path))
        {
            remove(directory, obsolete)?;
        }
        fs::rename(staged.path().join(INDEX), directory.join(INDEX))?;
        Ok(())
    }
}

/// The files of the last run in a directory.
fn index(directory: &Path) -> Result<BTreeSet<String>> {
    match fs::read_to_string(directory.join(INDEX)) {
        Ok(names) => Ok(names
            .lines()
            .filter(|name| is_plain(name))
            .map(ToOwned::to_owned)
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a name stays below the directory: the index is a file that may have been edited.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn remove(directory: &Path, path: &str) -> Result<()> {
    match fs::remove_file(directory.join(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Fails, and keeps the directory, if it has other files.
    let _ = fs::remove_dir(parent(&directory.join(path)));
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
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

    fn bundle(paths: &[&str]) -> Bundle {
        let mut bundle = Bundle::default();
        for path in paths {
            bundle.text(path, format!("{path}\n"));
        }
        bundle
    }

    fn listing(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn comments_stand_above_what_they_are_about() {
        let document = Document::new("One.\n\nTwo.", json!({ "a": { "b": [{ "c": 1 }] } }))
            .note("c:", "Three.");
        assert_eq!(
            document.render().unwrap(),
            "# One.\n#\n# Two.\na:\n  b:\n  # Three.\n  - c: 1\n"
        );
    }

    #[test]
    fn a_second_run_replaces_the_first_and_removes_what_is_obsolete() {
        let directory = TempDir::new().unwrap();
        let out = directory.path().join("out");
        bundle(&["a/1", "a/2", "b/3"]).write(&out).unwrap();
        fs::write(out.join("a/mine"), "mine").unwrap();
        bundle(&["a/1", "c/4"]).write(&out).unwrap();

        assert_eq!(listing(&out), [".mixerless", "a", "c"]);
        assert_eq!(listing(&out.join("a")), ["1", "mine"]);
    }

    #[test]
    fn somebody_elses_file_is_not_overwritten_and_nothing_is_written_beside_it() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("b"), "mine").unwrap();
        let error = bundle(&["a", "b"]).write(directory.path()).unwrap_err();

        assert!(format!("{error:#}").contains("was not made by `mixerless manifests`"));
        assert_eq!(listing(directory.path()), ["b"]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_one_error_that_names_the_flag() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = bundle(&["a"]).write(&file.join("out")).unwrap_err();

        assert!(format!("{error:#}").starts_with("--out: cannot write to "));
    }

    #[test]
    fn an_index_cannot_reach_outside_the_directory() {
        assert!(is_plain("istio/a.yaml"));
        for name in ["", "../a", "/etc/passwd", "a//b", "a/../../b"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
