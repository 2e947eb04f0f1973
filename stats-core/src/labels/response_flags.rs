//! Envoy's response flags as the short codes that the `response_flags` label shows.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

/// The short code of each bit, from bit 0 (Envoy's `ResponseFlagUtils`).
pub const CODES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
];

/// The label's value: codes joined by `,` in the order of their bits, `-` for no flag.
///
/// A bit beyond [`CODES`] is one that a newer Envoy added: the whole number is appended, so that
/// nothing is lost.
pub fn text(flags: u64) -> Cow<'static, str> {
    if flags == 0 {
        return Cow::Borrowed("-");
    }
    let mut text = String::new();
    let mut append = |part: &str| {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(part);
    };
    for (bit, code) in CODES.iter().enumerate() {
        if flags & (1 << bit) != 0 {
            append(code);
        }
    }
    if flags >> CODES.len() != 0 {
        append(&flags.to_string());
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_flag_is_a_dash() {
        assert_eq!(text(0), "-");
    }

    #[test]
    fn codes_are_joined_in_the_order_of_their_bits() {
        assert_eq!(text(1 << 8), "NR");
        assert_eq!(text((1 << 15) | (1 << 5)), "UF,URX");
        assert_eq!(text(1 << 29), "UDO");
    }

    #[test]
    fn a_bit_beyond_the_table_shows_the_whole_number() {
        assert_eq!(text((1 << 30) | 1), "LH,1073741825");
        assert_eq!(text(1 << 63), "9223372036854775808");
    }
}
