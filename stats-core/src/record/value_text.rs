//! CEL values as text, printed as Istio prints them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::host::Value;

/// Appends the text of a value.
pub fn push(out: &mut Vec<u8>, value: Value<'_>) {
    let mut text = Text(out);
    // A vector takes whatever is written.
    let _ = match value {
        Value::Text(bytes) => {
            text.0.extend_from_slice(bytes);
            Ok(())
        }
        Value::Bool(value) => text.write_str(if value { "true" } else { "false" }),
        Value::Int(value) => write!(text, "{value}"),
        Value::Uint(value) => write!(text, "{value}"),
        Value::Double(value) => double(&mut text, value),
        Value::Duration(nanoseconds) => duration(&mut text, nanoseconds),
        Value::Timestamp(nanoseconds) => timestamp(&mut text, nanoseconds),
    };
}

/// A number from the text of a value: what a definition records. What is no number is zero, as for
/// Istio.
pub fn number(text: &[u8]) -> u64 {
    core::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// Text written into bytes.
struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// At most six significant digits, as C prints `%g`.
fn double(out: &mut Text<'_>, value: f64) -> fmt::Result {
    if !value.is_finite() {
        let sign = if value.is_sign_negative() && !value.is_nan() {
            "-"
        } else {
            ""
        };
        let name = if value.is_nan() { "nan" } else { "inf" };
        return write!(out, "{sign}{name}");
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let short = |digits: &str| {
        let digits = if digits.contains('.') {
            digits.trim_end_matches('0')
        } else {
            digits
        };
        String::from(digits.trim_end_matches('.'))
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or_default();
        out.write_str(&short(&format!("{value:.decimals$}")))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{}e{sign}{:02}", short(mantissa), exponent.abs())
    }
}

/// As `absl::FormatDuration` has it: `72h3m0.5s`, or one unit below a second: `1.5ms`.
fn duration(out: &mut Text<'_>, nanoseconds: i64) -> fmt::Result {
    if nanoseconds == 0 {
        return out.write_str("0");
    }
    if nanoseconds < 0 {
        out.write_str("-")?;
    }
    let total = nanoseconds.unsigned_abs();
    for (unit, below, name) in [
        (1, 1_000, "ns"),
        (1_000, 1_000_000, "us"),
        (1_000_000, 1_000_000_000, "ms"),
    ] {
        if total < below {
            return fraction(out, total, unit, name);
        }
    }
    let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    if hours > 0 {
        write!(out, "{hours}h")?;
    }
    if minutes > 0 {
        write!(out, "{minutes}m")?;
    }
    if rest > 0 {
        fraction(out, rest, 1_000_000_000, "s")
    } else {
        Ok(())
    }
}

/// `value` in units of `unit`, with as many decimals as it has.
fn fraction(out: &mut Text<'_>, value: u64, unit: u64, name: &str) -> fmt::Result {
    write!(out, "{}", value / unit)?;
    let rest = value % unit;
    if rest > 0 {
        let digits = unit.ilog10() as usize;
        let decimals = format!("{rest:0digits$}");
        write!(out, ".{}", decimals.trim_end_matches('0'))?;
    }
    out.write_str(name)
}

/// RFC 3339 in UTC, with as many decimals as there are: `2026-01-31T23:59:59.5+00:00`.
fn timestamp(out: &mut Text<'_>, nanoseconds: i64) -> fmt::Result {
    let (seconds, rest) = (
        nanoseconds.div_euclid(1_000_000_000),
        nanoseconds.rem_euclid(1_000_000_000),
    );
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    write!(out, "{year:04}-{month:02}-{day:02}T")?;
    write!(
        out,
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )?;
    if rest > 0 {
        let decimals = format!("{rest:09}");
        write!(out, ".{}", decimals.trim_end_matches('0'))?;
    }
    out.write_str("+00:00")
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar:
/// years begin in March, so that a leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(value: Value<'_>) -> String {
        let mut text = Vec::new();
        push(&mut text, value);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn values_print_as_istio_prints_them() {
        assert_eq!(printed(Value::Text(b"text")), "text");
        assert_eq!(printed(Value::Text(b"12345678")), "12345678");
        assert_eq!(printed(Value::Int(200)), "200");
        assert_eq!(printed(Value::Int(-1)), "-1");
        assert_eq!(printed(Value::Uint(u64::MAX)), "18446744073709551615");
        assert_eq!(printed(Value::Bool(true)), "true");
        assert_eq!(printed(Value::Bool(false)), "false");
    }

    #[test]
    fn doubles_have_six_digits() {
        for (value, text) in [
            (1.5, "1.5"),
            (0.1 + 0.2, "0.3"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_012_5, "1.25e-05"),
            (0.0, "0"),
            (-2.0, "-2"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(printed(Value::Double(value)), text);
        }
    }

    #[test]
    fn durations_have_the_units_that_fit() {
        for (nanoseconds, text) in [
            (0_i64, "0"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (4_287_887, "4.287887ms"),
            (1_000_000_000, "1s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h"),
            (-2_000_000, "-2ms"),
        ] {
            assert_eq!(printed(Value::Duration(nanoseconds)), text);
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        for (nanoseconds, text) in [
            (0_i64, "1970-01-01T00:00:00+00:00"),
            (951_782_400_500_000_000, "2000-02-29T00:00:00.5+00:00"),
            (1_735_689_599_000_000_000, "2024-12-31T23:59:59+00:00"),
            (-1_000_000_000, "1969-12-31T23:59:59+00:00"),
        ] {
            assert_eq!(printed(Value::Timestamp(nanoseconds)), text);
        }
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(number(b"42"), 42);
        for text in [&b""[..], b"-1", b"1.5", b"unknown", b"\xff"] {
            assert_eq!(number(text), 0);
        }
    }
}
