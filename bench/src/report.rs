//! What a user sees: text and tables on the terminal and in a Markdown file, and a plot. And
//! the statistics that summarise many figures.
//!
//! Not here: what is measured.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, Table};

pub mod plot;

/// The results so far.
#[derive(Debug, Default)]
pub struct Report {
    markdown: String,
}

impl Report {
    /// Begins a section.
    pub fn heading(&mut self, text: &str) {
        self.add(&format!("\n{text}\n"), &format!("\n## {text}\n"));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: &str) {
        self.add(text, &format!("\n{text}\n"));
    }

    /// Adds a table, whose first column is text and whose others are figures.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table.set_header(header).add_rows(rows);
        for column in 1..header.len() {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let printed = table.load_style(UTF8_FULL_CONDENSED).to_string();
        let markdown = table.load_style(ASCII_MARKDOWN);
        self.add(&printed, &format!("\n{markdown}\n"));
    }

    /// Leaves all of it in a Markdown file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, name: &str) -> Result<()> {
        let path = directory()?.join(name);
        fs::write(&path, self.markdown.trim_start())?;
        progress(&format!("written: {}", path.display()));
        Ok(())
    }

    fn add(&mut self, printed: &str, markdown: &str) {
        println!("{printed}");
        self.markdown.push_str(markdown);
    }
}

/// Where reports are left.
///
/// # Errors
/// When it cannot be made.
pub fn directory() -> Result<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&directory)?;
    Ok(directory.canonicalize()?)
}

/// Shows progress to a waiting user.
pub fn progress(text: &str) {
    eprintln!("{text}");
}

/// The value below which a quarter of them are; NaN for no values.
pub fn lower_quartile(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let nth = sorted.len().saturating_sub(1) / 4;
    sorted.get(nth).copied().unwrap_or(f64::NAN)
}

/// The value in the middle; NaN for no values.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = |nth: usize| sorted.get(nth).copied().unwrap_or(f64::NAN);
    f64::midpoint(
        middle(sorted.len() / 2),
        middle(sorted.len().saturating_sub(1) / 2),
    )
}

/// The least and the greatest value, as `1.23 - 1.31`.
pub fn range(values: &[f64]) -> String {
    let sorted = sorted(values);
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(greatest)) => format!("{least:.2} - {greatest:.2}"),
        _ => String::new(),
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_do_not_depend_on_order() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(lower_quartile(&values).to_string(), "2");
        assert_eq!(median(&values).to_string(), "3");
        assert_eq!(median(&values[1..]).to_string(), "2.5");
        assert_eq!(range(&values), "1.00 - 5.00");
    }

    #[test]
    fn of_nothing_there_are_no_statistics() {
        assert!(lower_quartile(&[]).is_nan());
        assert!(median(&[]).is_nan());
        assert_eq!(range(&[]), "");
    }
}
