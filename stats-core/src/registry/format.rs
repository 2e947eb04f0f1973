//! The formats that a page can have, what HTTP calls them, and which one a client asks for.

/// How a page is written. Where a registry has names of any characters, the first two spell them in
/// those of old, by the escaping scheme `values`; the others put them in quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everything reads.
    #[default]
    Text,
    /// OpenMetrics 1.0, which has units, times of creation and exemplars besides.
    OpenMetrics,
    /// Prometheus' text format 1.0.0: names in quotes.
    TextUtf8,
    /// OpenMetrics 1.0 with names in quotes.
    OpenMetricsUtf8,
}

impl Format {
    /// The value of the header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::TextUtf8 => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Self::OpenMetricsUtf8 => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
        }
    }

    /// The format that a client with this header `Accept` likes best; [`Format::Text`] where it names
    /// none of them.
    pub fn accepted(accept: &str) -> Self {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let open_metrics = match parts.next()? {
                "application/openmetrics-text" => true,
                "text/plain" | "text/*" | "*/*" => false,
                _ => return None,
            };
            let (mut quality, mut utf8) = (1.0, false);
            for parameter in parts {
                match parameter.split_once('=')? {
                    ("q", value) => quality = value.parse().ok()?,
                    ("escaping", value) => utf8 = value == "allow-utf-8",
                    ("version", version) if open_metrics && version != "1.0.0" => return None,
                    _ => {}
                }
            }
            let format = match (open_metrics, utf8) {
                (false, false) => Self::Text,
                (true, false) => Self::OpenMetrics,
                (false, true) => Self::TextUtf8,
                (true, true) => Self::OpenMetricsUtf8,
            };
            Some((quality, format))
        });
        // Of two that are liked as much, the first.
        let best = ranges.fold((0.0, Self::Text), |best, range| {
            if range.0 > best.0 { range } else { best }
        });
        best.1
    }

    pub(super) fn is_open_metrics(self) -> bool {
        matches!(self, Self::OpenMetrics | Self::OpenMetricsUtf8)
    }

    pub(super) fn quotes_names(self) -> bool {
        matches!(self, Self::TextUtf8 | Self::OpenMetricsUtf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_that_it_likes_best() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            (
                "text/html, application/openmetrics-text; version=2.0.0",
                Format::Text,
            ),
            ("text/plain;version=0.0.4", Format::Text),
            (
                "text/plain;q=0.9, application/openmetrics-text;q=0.3",
                Format::Text,
            ),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8",
                Format::TextUtf8,
            ),
            (prometheus_2, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetricsUtf8),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
