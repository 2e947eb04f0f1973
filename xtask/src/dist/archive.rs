//! A `.tar.gz` that is the same for the same content.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

const READABLE: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// Files in memory, below one directory.
pub struct DistArchive {
    root: String,
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl DistArchive {
    /// An empty archive that unpacks into this directory.
    pub fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            entries: BTreeMap::new(),
        }
    }

    /// Adds a file's content.
    pub fn file(&mut self, name: &str, file: &Path) -> Result<()> {
        self.add(name, READABLE, read(file)?);
        Ok(())
    }

    /// Adds a file that can be started.
    pub fn program(&mut self, name: &str, file: &Path) -> Result<()> {
        self.add(name, EXECUTABLE, read(file)?);
        Ok(())
    }

    /// Adds text as a file.
    pub fn text(&mut self, name: &str, text: String) {
        self.add(name, READABLE, text.into_bytes());
    }

    /// Adds the files in a directory, without those in directories below it.
    pub fn directory(&mut self, name: &str, directory: &Path) -> Result<()> {
        let entries = directory
            .read_dir()
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_file() {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                self.file(&format!("{name}/{file}"), &path)?;
            }
        }
        Ok(())
    }

    /// The archive's bytes.
    pub fn packed(&self) -> Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, (mode, content)) in &self.entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(*mode);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            let path = format!("{}/{name}", self.root);
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        // This encoder writes no date into its header.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&tar.into_inner()?)?;
        Ok(gzip.finish()?)
    }

    fn add(&mut self, name: &str, mode: u32, content: Vec<u8>) {
        self.entries.insert(name.to_owned(), (mode, content));
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_files_come_does_not_matter() {
        let packed = |names: [&str; 2]| {
            let mut archive = DistArchive::new("root");
            for name in names {
                archive.text(name, name.to_owned());
            }
            archive.packed().unwrap()
        };
        assert_eq!(packed(["a", "b"]), packed(["b", "a"]));
        let bytes = packed(["a", "b"]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let seen: Vec<(String, u64)> = entries
            .map(|entry| {
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mtime().unwrap())
            })
            .collect();
        assert_eq!(seen, [("root/a".to_owned(), 0), ("root/b".to_owned(), 0)]);
    }
}
