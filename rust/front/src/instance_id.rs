//! Names of instances on the wire: `<boot id, 8 hex digits>-<slot id, 16 hex digits>`.
//!
//! The boot id makes an instance of an earlier process unknown instead of another one's. Only the form that [`encode`] writes is
//! read. Both run on the warm path: no formatting machinery, one allocation.

use pilotlight_core::SlotId;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const BOOT_DIGITS: usize = 8;
const SLOT_DIGITS: usize = 16;

/// Writes the name of the instance in a slot.
pub(crate) fn encode(boot_id: u32, slot: SlotId) -> String {
    let mut text = String::with_capacity(BOOT_DIGITS + 1 + SLOT_DIGITS);
    push_hex(&mut text, u64::from(boot_id), BOOT_DIGITS);
    text.push('-');
    push_hex(&mut text, slot.to_bits(), SLOT_DIGITS);
    text
}

/// Reads a name back; `None` if it is malformed or of another process.
pub(crate) fn decode(boot_id: u32, text: &str) -> Option<SlotId> {
    let (boot, slot) = text.split_once('-')?;
    let known = parse_hex(boot, BOOT_DIGITS)? == u64::from(boot_id);
    let bits = parse_hex(slot, SLOT_DIGITS)?;
    known.then(|| SlotId::from_bits(bits))
}

fn push_hex(text: &mut String, value: u64, digits: usize) {
    text.extend((0..digits).rev().map(|digit| char::from(DIGITS[(value >> (4 * digit) & 0xf) as usize])));
}

fn parse_hex(text: &str, digits: usize) -> Option<u64> {
    if text.len() != digits {
        return None;
    }
    text.bytes().try_fold(0, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use pilotlight_core::SlotId;

    #[test]
    fn a_name_reads_back_as_its_slot() {
        for bits in [0, 1, 0x0000_0007_dead_beef, u64::MAX] {
            let slot = SlotId::from_bits(bits);
            assert_eq!(decode(0x12ab, &encode(0x12ab, slot)), Some(slot));
        }
        assert_eq!(encode(0x12ab, SlotId::from_bits(0x7_0000_0009)), "000012ab-0000000700000009");
    }

    #[test]
    fn only_the_written_form_of_this_process_is_read() {
        for text in [
            "",
            "-",
            "000012ac-0000000700000009",
            "000012AB-0000000700000009",
            "000012ab-000000070000000",
            "000012ab-00000007000000099",
            "12ab-0000000700000009",
            "+00012ab-0000000700000009",
            "000012ab-000000070000000é",
            "000012ab_0000000700000009",
        ] {
            assert_eq!(decode(0x12ab, text), None, "{text}");
        }
    }
}
