//! How figures are written: as few digits as tell something.

use super::traffic::CallTraffic;

/// A rate of requests.
pub fn requests(per_second: f64) -> String {
    format!("{} rps", short(per_second))
}

/// A rate of requests, or of bytes where there are none.
pub fn rate(traffic: &CallTraffic) -> String {
    if traffic.requests > 0.0 || traffic.tcp_bytes <= 0.0 {
        return requests(traffic.requests);
    }
    bytes(traffic.tcp_bytes)
}

/// A rate of bytes.
pub fn bytes(per_second: f64) -> String {
    for (unit, size) in [("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)] {
        if per_second >= size {
            return format!("{} {unit}", short(per_second / size));
        }
    }
    format!("{} B/s", short(per_second))
}

/// A share.
pub fn percent(percent: Option<f64>) -> String {
    match percent {
        None => "–".to_owned(),
        Some(percent) if percent <= 0.0 => "0 %".to_owned(),
        Some(percent) if percent < 0.1 => "< 0.1 %".to_owned(),
        Some(percent) if percent > 99.9 && percent < 100.0 => "> 99.9 %".to_owned(),
        Some(percent) => format!("{} %", short(percent)),
    }
}

/// A duration.
pub fn duration(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "–".to_owned(),
        Some(milliseconds) if milliseconds >= 1000.0 => {
            format!("{} s", short(milliseconds / 1000.0))
        }
        Some(milliseconds) => format!("{} ms", short(milliseconds)),
    }
}

fn short(value: f64) -> String {
    let digits = match value {
        _ if value >= 99.95 || value <= 0.0 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        assert_eq!(requests(1234.5), "1234 rps");
        assert_eq!(requests(12.34), "12.3 rps");
        assert_eq!(requests(0.5), "0.5 rps");
        assert_eq!(requests(0.0), "0 rps");
        assert_eq!(bytes(1_500_000.0), "1.5 MB/s");
        assert_eq!(duration(Some(1500.0)), "1.5 s");
        assert_eq!(duration(None), "–");
        assert_eq!(percent(Some(0.01)), "< 0.1 %");
        assert_eq!(percent(Some(99.99)), "> 99.9 %");
    }
}
