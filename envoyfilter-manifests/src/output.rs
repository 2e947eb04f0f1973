//! A directory of generated files: what a run would change in it, and the change itself.
//! Not here: the files' content, see [`crate::bundle`].

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use similar::TextDiff;
use tempfile::TempDir;

use crate::bundle::{Bundle, File};

/// The file that lists what the last run wrote, each with its checksum, as `sha256sum` does. It is to be committed with the
/// files: it tells which of them are ours, and which were edited since.
const INDEX: &str = ".mixerless";

/// What one run changes in a directory. Other files stay as they are.
#[derive(Debug)]
pub struct OutputPlan<'a> {
    directory: &'a Path,
    files: &'a [File],
    changes: Vec<Change>,
}

/// What happens to one file.
#[derive(Debug)]
struct Change {
    path: String,
    /// What is there.
    old: Option<Vec<u8>>,
    /// What is to be there.
    new: Option<String>,
    /// Whose file is there.
    owner: Owner,
}

/// Whose a file is that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The last run's, as it wrote it; also a file that is not there.
    Us,
    /// The last run's, changed by somebody since.
    Editor,
    /// Nothing of this command.
    Stranger,
}

impl<'a> OutputPlan<'a> {
    /// Compares files with what is in a directory, which need not exist.
    ///
    /// # Errors
    /// When something there cannot be read.
    pub fn new(bundle: &'a Bundle, directory: &'a Path) -> Result<Self> {
        let cannot = || format!("--out: cannot read {}", directory.display());
        let index = index(directory).with_context(cannot)?;
        let files = bundle.files();
        let new = |path: &str| files.iter().find(|file| file.path == path);
        let mut paths: Vec<&String> = files.iter().map(|file| &file.path).collect();
        // Obsolete files are removed, because they would be applied with the rest.
        paths.extend(index.keys().filter(|path| new(path).is_none()));
        let mut changes = Vec::new();
        for path in paths {
            let old = read(&directory.join(path)).with_context(cannot)?;
            let new = new(path).map(|file| file.text.clone());
            if old.is_none() && new.is_none() {
                continue;
            }
            changes.push(Change {
                owner: owner(index.get(path), old.as_deref()),
                path: path.clone(),
                old,
                new,
            });
        }
        Ok(Self {
            directory,
            files,
            changes,
        })
    }

    /// Whether the plan may be carried out. Files that somebody edited are overwritten or removed by force only, files that
    /// this command never wrote not at all.
    ///
    /// # Errors
    /// When it may not; the error names the files.
    pub fn allow(&self, force: bool) -> Result<()> {
        let of = |owner: Owner| {
            let lost = self.changes.iter().filter(|change| change.loses(owner));
            let paths: Vec<String> = lost.map(|change| self.shown(change)).collect();
            (!paths.is_empty()).then(|| paths.join(", "))
        };
        if let Some(strange) = of(Owner::Stranger) {
            bail!(
                "--out: {strange} exists and was not made by `mixerless manifests`; move it away, or choose another directory"
            );
        }
        match of(Owner::Editor) {
            Some(edited) if !force => bail!(
                "--out: {edited} was edited since it was written: --diff shows what would be lost, --force overwrites it; keep \
                 changes of your own in a copy, or in a kustomization that has this directory as its base"
            ),
            _ => Ok(()),
        }
    }

    /// Carries the plan out: all files are written to a temporary directory first, then each is renamed.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn apply(&self) -> Result<()> {
        let created = !self.directory.exists();
        let written = self.write().with_context(|| {
            format!(
                "--out: cannot write to {}: choose a directory that is yours to write",
                self.directory.display()
            )
        });
        if written.is_err() && created {
            // No incomplete output. The directory did not exist before, so that everything in it is ours.
            let _ = fs::remove_dir_all(self.directory);
        }
        written
    }

    fn write(&self) -> Result<()> {
        fs::create_dir_all(self.directory)?;
        let staged = TempDir::with_prefix_in(".mixerless-", self.directory)?;
        let written = || self.changes.iter().filter(|change| change.is_written());
        for change in written() {
            let to = staged.path().join(&change.path);
            fs::create_dir_all(parent(&to))?;
            fs::write(to, change.new.as_deref().unwrap_or_default())?;
        }
        let mut sums = String::new();
        for File { path, text } in self.files {
            writeln!(sums, "{}  {path}", checksum(text.as_bytes()))?;
        }
        fs::write(staged.path().join(INDEX), sums)?;

        for change in written() {
            let to = self.directory.join(&change.path);
            fs::create_dir_all(parent(&to))?;
            fs::rename(staged.path().join(&change.path), to)?;
        }
        for obsolete in self.changes.iter().filter(|change| change.new.is_none()) {
            remove(&self.directory.join(&obsolete.path))?;
        }
        fs::rename(staged.path().join(INDEX), self.directory.join(INDEX))?;
        Ok(())
    }

    /// All changes as a unified diff, which `patch -p1` takes in the directory.
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for change in self.changes.iter().filter(|change| !change.is_none()) {
            let old = String::from_utf8_lossy(change.old.as_deref().unwrap_or_default());
            let new = change.new.as_deref().unwrap_or_default();
            let name = |side: &str, there: bool| {
                if there {
                    format!("{side}/{}", change.path)
                } else {
                    "/dev/null".to_owned()
                }
            };
            let diff = TextDiff::from_lines(old.as_ref(), new);
            let mut diff = diff.unified_diff();
            let (from, to) = (
                name("a", change.old.is_some()),
                name("b", change.new.is_some()),
            );
            text += &diff.header(&from, &to).to_string();
        }
        text
    }

    fn shown(&self, change: &Change) -> String {
        self.directory.join(&change.path).display().to_string()
    }
}

/// One line a file.
impl fmt::Display for OutputPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let note = match change.owner {
                Owner::Editor if !change.is_none() => "  (edited)",
                Owner::Stranger if !change.is_none() => "  (not ours)",
                _ => "",
            };
            writeln!(f, "{:<9}  {}{note}", change.word(), self.shown(change))?;
        }
        Ok(())
    }
}

impl Change {
    fn word(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "new",
            (Some(_), None) => "removed",
            _ if self.is_none() => "unchanged",
            _ => "replaced",
        }
    }

    /// Whether the file is already what it is to be.
    fn is_none(&self) -> bool {
        self.old.as_deref() == self.new.as_ref().map(String::as_bytes)
    }

    fn is_written(&self) -> bool {
        self.new.is_some() && !self.is_none()
    }

    /// Whether a file of that owner is lost by it.
    fn loses(&self, owner: Owner) -> bool {
        self.owner == owner && !self.is_none()
    }
}

fn owner(sum: Option<&String>, old: Option<&[u8]>) -> Owner {
    match (sum, old) {
        (_, None) => Owner::Us,
        (None, Some(_)) => Owner::Stranger,
        (Some(sum), Some(old)) if *sum == checksum(old) => Owner::Us,
        (Some(_), Some(_)) => Owner::Editor,
    }
}

/// The files of the last run in a directory, and their checksums.
fn index(directory: &Path) -> Result<BTreeMap<String, String>> {
    let Some(index) = read(&directory.join(INDEX))? else {
        return Ok(BTreeMap::new());
    };
    let index = String::from_utf8_lossy(&index);
    let entries = index.lines().filter_map(|line| line.split_once("  "));
    Ok(entries
        .filter(|(_, path)| is_plain(path))
        .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        .collect())
}

/// What is in a file; `None` if there is none.
fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Whether a name stays below the directory: the index is a file that may have been edited.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Fails, and keeps the directory, if it has other files.
    let _ = fs::remove_dir(parent(file));
    Ok(())
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let mut bundle = Bundle::default();
        for (path, text) in files {
            bundle.text(path, format!("{text}\n"));
        }
        bundle
    }

    /// Carries a run out; what it says of each file, or why it refuses.
    fn run(files: &[(&str, &str)], out: &Path, force: bool) -> Result<Vec<String>> {
        let bundle = bundle(files);
        let plan = OutputPlan::new(&bundle, out)?;
        plan.allow(force)?;
        plan.apply()?;
        let said = plan.to_string();
        let prefix = format!("{}/", out.display());
        Ok(said.lines().map(|line| line.replace(&prefix, "")).collect())
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
    fn a_second_run_replaces_the_first_and_removes_what_is_obsolete() {
        let directory = TempDir::new().unwrap();
        let out = directory.path().join("out");
        let first = run(&[("a/1", "x"), ("a/2", "x"), ("b/3", "x")], &out, false);
        assert_eq!(
            first.unwrap(),
            ["new        a/1", "new        a/2", "new        b/3"]
        );
        fs::write(out.join("a/mine"), "mine").unwrap();
        let second = run(&[("a/1", "y"), ("a/2", "x"), ("c/4", "x")], &out, false);
        assert_eq!(
            second.unwrap(),
            [
                "replaced   a/1",
                "unchanged  a/2",
                "new        c/4",
                "removed    b/3"
            ]
        );
        assert_eq!(listing(&out), [".mixerless", "a", "c"]);
        assert_eq!(listing(&out.join("a")), ["1", "2", "mine"]);
    }

    #[test]
    fn an_edited_file_is_replaced_and_removed_by_force_only() {
        let directory = TempDir::new().unwrap();
        let out = directory.path();
        run(&[("a", "x"), ("b", "x")], out, false).unwrap();
        for file in ["a", "b"] {
            fs::write(out.join(file), "edited\n").unwrap();
        }
        let error = run(&[("a", "y"), ("c", "x")], out, false).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("/a, ") && error.contains("/b was edited"),
            "{error}"
        );
        assert_eq!(listing(out), [".mixerless", "a", "b"]);
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "edited\n");

        let forced = run(&[("a", "y"), ("c", "x")], out, true).unwrap();
        assert_eq!(
            forced,
            [
                "replaced   a  (edited)",
                "new        c",
                "removed    b  (edited)"
            ]
        );
        assert_eq!(listing(out), [".mixerless", "a", "c"]);
    }

    #[test]
    fn an_edit_that_a_run_would_make_too_is_in_nobodys_way() {
        let directory = TempDir::new().unwrap();
        let out = directory.path();
        run(&[("a", "x")], out, false).unwrap();
        fs::write(out.join("a"), "y\n").unwrap();
        assert_eq!(run(&[("a", "y")], out, false).unwrap(), ["unchanged  a"]);
        // And is ours from then on.
        assert_eq!(run(&[("a", "z")], out, false).unwrap(), ["replaced   a"]);
    }

    #[test]
    fn somebody_elses_file_is_not_overwritten_and_nothing_is_written_beside_it() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("b"), "mine").unwrap();
        let error = run(&[("a", "x"), ("b", "x")], directory.path(), true).unwrap_err();

        assert!(format!("{error:#}").contains("was not made by `mixerless manifests`"));
        assert_eq!(listing(directory.path()), ["b"]);
    }

    #[test]
    fn the_index_is_what_sha256sum_checks() {
        let directory = TempDir::new().unwrap();
        run(&[("a", "x")], directory.path(), false).unwrap();
        let index = fs::read_to_string(directory.path().join(INDEX)).unwrap();
        let sum = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
        assert_eq!(index, format!("{sum}  a\n"));
    }

    #[test]
    fn a_diff_names_new_changed_and_removed_files() {
        let directory = TempDir::new().unwrap();
        run(
            &[("a", "x"), ("b", "x"), ("d", "x")],
            directory.path(),
            false,
        )
        .unwrap();
        let bundle = bundle(&[("a", "y"), ("c", "x"), ("d", "x")]);
        let plan = OutputPlan::new(&bundle, directory.path()).unwrap();
        assert_eq!(
            plan.diff(),
            "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n\
             --- /dev/null\n+++ b/c\n@@ -0,0 +1 @@\n+x\n\
             --- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        );
        assert_eq!(listing(directory.path()), [".mixerless", "a", "b", "d"]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_one_error_that_names_the_flag() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = run(&[("a", "x")], &file.join("out"), false).unwrap_err();

        assert!(
            format!("{error:#}").starts_with("--out: cannot "),
            "{error:#}"
        );
    }

    #[test]
    fn an_index_cannot_reach_outside_the_directory() {
        assert!(is_plain("istio/a.yaml"));
        for name in ["", "../a", "/etc/passwd", "a//b", "a/../../b"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
