//! The label `request_operation`: which of a list of templates a request's method and path fit.
//! The label has at most as many values as there are templates, whatever clients ask for.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// The label's name.
pub const LABEL: &str = "request_operation";

/// Each request is compared with them one by one.
const MAX_TEMPLATES: usize = 1_000;

/// Templates in their order: the first that fits names the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations(Vec<Template>);

/// `GET /reviews/{id}`: a method, or none for any, and a path in which a segment in braces stands
/// for any one segment, and a last segment `**` for any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    text: String,
    method: Option<String>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

impl Operations {
    /// Appends a template.
    ///
    /// # Errors
    /// What a template looks like, where this is none.
    pub fn add(&mut self, template: &str) -> Result<(), &'static str> {
        const WANTED: &str = "a method and a path such as \"GET /reviews/{id}\", or a path alone";
        let (method, path) = match template.split_once(' ') {
            Some((method, path)) => (Some(method), path),
            None => (None, template),
        };
        let is_method = |method: &str| {
            !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
        };
        let Some(path) = path.strip_prefix('/') else {
            return Err(WANTED);
        };
        if path.contains([' ', '?', '#']) || !method.is_none_or(is_method) {
            return Err(WANTED);
        }
        let segments = path.split('/').map(|segment| match segment {
            "**" => Segment::Rest,
            _ if segment.starts_with('{') && segment.ends_with('}') => Segment::One,
            literal => Segment::Literal(literal.to_owned()),
        });
        let segments: Vec<_> = segments.collect();
        if segments
            .iter()
            .rev()
            .skip(1)
            .any(|segment| *segment == Segment::Rest)
        {
            return Err("** only as the last segment");
        }
        if self.0.len() >= MAX_TEMPLATES {
            return Err("at most 1,000 templates");
        }
        self.0.push(Template {
            text: template.to_owned(),
            method: method.map(str::to_owned),
            segments,
        });
        Ok(())
    }

    /// Whether there is any template, and so the label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the first template that fits.
    pub fn find(&self, method: &[u8], path: &[u8]) -> Option<u16> {
        let at = self
            .0
            .iter()
            .position(|template| template.fits(method, path))?;
        u16::try_from(at).ok()
    }

    /// The text of a template.
    pub fn text(&self, number: u16) -> Option<&str> {
        self.0
            .get(usize::from(number))
            .map(|template| template.text.as_str())
    }
}

impl Template {
    fn fits(&self, method: &[u8], path: &[u8]) -> bool {
        let other_method = |wanted: &String| wanted.as_bytes() != method;
        if self.method.as_ref().is_some_and(other_method) {
            return false;
        }
        let end = path
            .iter()
            .position(|b| matches!(b, b'?' | b'#'))
            .unwrap_or(path.len());
        let Some(path) = path.get(..end).and_then(|path| path.strip_prefix(b"/")) else {
            return false;
        };
        let mut actual = path.split(|&b| b == b'/');
        for wanted in &self.segments {
            let fits = match (wanted, actual.next()) {
                (Segment::Rest, _) => return true,
                (Segment::One, Some(segment)) => !segment.is_empty(),
                (Segment::Literal(literal), Some(segment)) => literal.as_bytes() == segment,
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        actual.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(templates: &[&str], method: &str, path: &str) -> Option<u16> {
        let mut operations = Operations::default();
        for template in templates {
            operations.add(template).unwrap();
        }
        operations.find(method.as_bytes(), path.as_bytes())
    }

    #[test]
    fn the_first_template_that_fits_wins() {
        let templates = [
            "GET /reviews/top",
            "GET /reviews/{id}",
            "/reviews/{id}",
            "/static/**",
        ];
        assert_eq!(find(&templates, "GET", "/reviews/top"), Some(0));
        assert_eq!(find(&templates, "GET", "/reviews/7?page=2"), Some(1));
        assert_eq!(find(&templates, "PUT", "/reviews/7"), Some(2));
        assert_eq!(find(&templates, "GET", "/static/a/b.css"), Some(3));
        assert_eq!(find(&templates, "GET", "/static"), Some(3));
    }

    #[test]
    fn what_fits_no_template_has_no_operation() {
        for path in [
            "/reviews",
            "/reviews/",
            "/reviews/7/x",
            "*",
            "",
            "reviews/7",
        ] {
            assert_eq!(find(&["GET /reviews/{id}"], "GET", path), None, "{path}");
        }
        assert_eq!(find(&["/"], "GET", "/"), Some(0));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for template in [
            "reviews", "get /x", "GET", "GET x", "/a b", "/**/x", "/a?b", " /a",
        ] {
            assert!(Operations::default().add(template).is_err(), "{template}");
        }
    }
}
