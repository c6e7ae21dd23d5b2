//! What bytes are that are not the DER that was expected, in words of a person who named the wrong file.

/// As far as the beginning tells it.
#[must_use]
pub fn instead(bytes: &[u8]) -> String {
    let is_text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    // X.690 §8.1.3: the length of the whole, in up to four octets behind their number.
    let length = match bytes {
        [0x30, short @ 0..=0x7f, ..] => Some(usize::from(*short) + 2),
        [0x30, long @ 0x81..=0x84, rest @ ..] => rest.get(..usize::from(long & 0x7f)).map(|octets| {
            let value = octets.iter().fold(0_usize, |value, octet| (value << 8) | usize::from(*octet));
            value.saturating_add(2 + octets.len())
        }),
        _ => None,
    };
    match length {
        _ if bytes.is_empty() => "nothing".to_owned(),
        _ if is_text => "text".to_owned(),
        Some(length) if length > bytes.len() => format!("cut off after {} of {length} bytes", bytes.len()),
        Some(_) => "damaged, or DER of something else".to_owned(),
        None => "binary data that is no DER".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_instead_of_der_is_said_in_words() {
        let whole = [&[0x30, 0x82, 0, 5][..], &[0xff; 5]].concat();
        for (bytes, words) in [
            (&[][..], "nothing"),
            (b"<html>", "text"),
            (&[0x30, 0x82, 1, 0, 0xff], "cut off after 5 of 260 bytes"),
            (&[0x30, 5, 0xff], "cut off after 3 of 7 bytes"),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "cut off after 6 of 4294967301 bytes"),
            (&[0x30, 0x82, 0xff], "binary data that is no DER"),
            (&[0xff, 0xfe, 0], "binary data that is no DER"),
            (&whole, "damaged, or DER of something else"),
        ] {
            assert_eq!(instead(bytes), words, "{bytes:?}");
        }
    }
}
