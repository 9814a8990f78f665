//! `grpc-timeout`: up to eight digits and a unit.

use pilotlight_core::Nanos;

const MOST_DIGITS: usize = 8;

/// Reads the value of the header; `None` if it is malformed.
pub(super) fn parse(value: &[u8]) -> Option<Nanos> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let unit_ns = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(Nanos(u64::saturating_mul(number, unit_ns)))
}

#[cfg(test)]
mod tests {
    use pilotlight_core::Nanos;

    use super::parse;

    #[test]
    fn every_unit_is_read() {
        for (text, ns) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("4m", 4_000_000),
            ("5u", 5_000),
            ("6n", 6),
            ("0S", 0),
            ("99999999H", u64::MAX),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Nanos(ns)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in ["", "S", "5", "5s", "-5S", "5.5S", "123456789S", "5 S", "0x5S", "5SS"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
