//! Checks of single settings. Not here: what depends on more than one of them, see [`crate::installation`].

use anyhow::{Context, Result, ensure};

/// A valid Kubernetes name. It is also put into queries, so that it must not contain quotes.
pub fn name(flag: &str, given: Option<&str>, otherwise: &str) -> Result<String> {
    let name = given.unwrap_or(otherwise);
    let inside = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
    let edge = |c: char| matches!(c, 'a'..='z' | '0'..='9');
    ensure!(
        name.len() <= 253
            && name.starts_with(edge)
            && name.ends_with(edge)
            && name.chars().all(inside),
        "{flag}: {name:?} is no name: write small letters, digits, - and . only"
    );
    Ok(name.to_owned())
}

/// A URL without a slash at its end.
pub fn prometheus_url(given: Option<&str>) -> Result<String> {
    let url = given.unwrap_or("http://prometheus.istio-system:9090");
    ensure!(
        url.starts_with("http://") || url.starts_with("https://"),
        "--prometheus-url: {url} is no URL: write http://HOST:PORT"
    );
    Ok(url.trim_end_matches('/').to_owned())
}

/// A time between two scrapes.
pub fn duration(text: &str) -> Result<String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let number: u32 = number
        .parse()
        .ok()
        .filter(|&number| number > 0)
        .with_context(|| format!("--scrape-interval: {text} is no duration: write 15s"))?;
    ensure!(
        matches!(unit, "ms" | "s" | "m"),
        "--scrape-interval: {text} is no duration: write 15s"
    );
    ensure!(
        unit == "ms" || unit == "s" && number <= 15,
        "--scrape-interval: {text} is too long: rates look back one minute and need four scrapes in it: at most 15s"
    );
    Ok(format!("{number}{unit}"))
}
