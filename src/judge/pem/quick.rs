//! Blocks as we write them, and the first one of a file read without asking what else it could be: it takes nothing that is written otherwise,
//! and leaves that to the reader that knows all forms. Not for secrets: how long it takes depends on what it reads and writes. Encoders that
//! are for secrets take twenty times as long, and a run writes what consumers trust four times, to see whether that lies there.

/// DER as one block of this label, with a newline at its end.
pub(super) fn block(label: &str, der: &[u8]) -> String {
    let mut text = Vec::with_capacity(der.len().div_ceil(3) * 4 + der.len() / BYTES + 2 * label.len() + 40);
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in der.chunks(BYTES) {
        let (threes, rest) = line.as_chunks::<3>();
        text.extend(threes.iter().flat_map(encode));
        let last = match *rest {
            [a] => Some((encode(&[a, 0, 0]), 2)),
            [a, b] => Some((encode(&[a, b, 0]), 3)),
            _ => None,
        };
        if let Some((characters, there)) = last {
            text.extend(characters.into_iter().take(there).chain([b'='; 2]).take(4));
        }
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    String::from_utf8(text).unwrap_or_default()
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----\n";
const END: &[u8] = b"-----END CERTIFICATE-----\n";
/// Characters in a line; only the last one may have fewer.
const LINE: usize = 64;
/// The bytes that a line says.
const BYTES: usize = LINE / 4 * 3;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// No character of the alphabet.
const NONE: u8 = 0xff;
/// The six bits of each character.
const BITS: [u8; 256] = bits();

#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "counted when it is compiled; 64 is the end")]
const fn bits() -> [u8; 256] {
    let mut bits = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        bits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    bits
}

/// The DER of the certificate that the text begins with; `None` where it is written in another way, or wrong.
pub(super) fn first(text: &[u8]) -> Option<Vec<u8>> {
    let body = text.strip_prefix(BEGIN)?;
    let (lines, end) = body.split_at_checked(body.iter().position(|byte| *byte == b'-')?)?;
    if !end.starts_with(END) {
        return None;
    }
    // Room for more than what comes: newlines count as characters here.
    let mut der = vec![0; lines.len() / 4 * 3];
    let (mut lines, mut filled) = (lines.chunks(LINE + 1).peekable(), 0);
    while let Some(line) = lines.next() {
        let characters = line.strip_suffix(b"\n")?;
        let whole = if lines.peek().is_some() { characters.len() } else { characters.len().checked_sub(4)? };
        let (fours, padded) = characters.split_at_checked(whole)?;
        filled += decode(fours, der.get_mut(filled..)?)?;
        if !padded.is_empty() {
            filled += finish(padded, der.get_mut(filled..)?)?;
        }
    }
    der.truncate(filled);
    Some(der)
}

/// Four characters for three bytes.
fn encode(bytes: &[u8; 3]) -> [u8; 4] {
    let [a, b, c] = *bytes;
    // Every six bits name one.
    let character = |bits: u8| ALPHABET.get(usize::from(bits & 0x3f)).copied().unwrap_or(NONE);
    [character(a >> 2), character(a << 4 | b >> 4), character(b << 2 | c >> 6), character(c)]
}

/// Writes three bytes for each four characters, and says how many that were.
fn decode(characters: &[u8], into: &mut [u8]) -> Option<usize> {
    // Six bits each, so that the two above them tell whether one was none.
    let mut seen = 0;
    let (fours, rest) = characters.as_chunks::<4>();
    let (threes, _) = into.as_chunks_mut::<3>();
    for (four, three) in fours.iter().zip(threes) {
        let [a, b, c, d] = four.map(|byte| BITS.get(usize::from(byte)).copied().unwrap_or(NONE));
        seen |= a | b | c | d;
        *three = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    (rest.is_empty() && seen & 0xc0 == 0).then_some(fours.len() * 3)
}

/// The same for the last four characters, some of which may be padding.
fn finish(padded: &[u8], into: &mut [u8]) -> Option<usize> {
    let missing = padded.iter().rev().take_while(|byte| **byte == b'=').count();
    let [a, b, c, d] = *padded else { return None };
    // What stands for the bits that are not there is nothing, as everybody writes it.
    let whole = match missing {
        0 => [a, b, c, d],
        1 => [a, b, c, b'A'],
        2 => [a, b, b'A', b'A'],
        _ => return None,
    };
    decode(&whole, into)?;
    let there = 3 - missing;
    into.get(there..3)?.iter().all(|byte| *byte == 0).then_some(there)
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    #[test]
    fn what_is_written_is_read_again_whatever_its_length() {
        for length in 1_u8..200 {
            let der: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37) ^ length).collect();
            let text = write(&der) + "more\n";
            assert_eq!(first(text.as_bytes()).as_ref(), Some(&der), "{length}");
        }
    }

    #[test]
    fn what_is_written_is_what_others_write_whatever_its_length() {
        use p256::pkcs8::der::pem::{LineEnding, encode_string};
        for length in 1_u8..200 {
            let der: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37) ^ length).collect();
            for label in ["CERTIFICATE", "X509 CRL"] {
                assert_eq!(Ok(block(label, &der)), encode_string(label, LineEnding::LF, &der), "{length}");
            }
        }
    }

    #[test]
    fn whatever_is_changed_the_other_reader_says_the_same_or_is_asked() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let der: Vec<u8> = (0..100).collect();
        let good = write(&der);
        let known = |text: &[u8]| CertificateDer::from_pem_slice(text).ok().map(|der| der.to_vec());
        let mut taken = 0;
        for at in 0..good.len() {
            for byte in *b"A9/+=\n\r -*\xff\0" {
                let mut text = good.clone().into_bytes();
                text[at] = byte;
                let quick = first(&text);
                taken += usize::from(quick.is_some());
                assert!(quick.is_none() || quick == known(&text), "{byte} at {at}");
            }
            assert_eq!(first(&good.as_bytes()[..at]), None, "cut at {at}");
        }
        assert!(taken > 400, "{taken}");
        for other in
            [good.replace('\n', "\r\n"), format!("words\n{good}"), good.replace("CERTIFICATE", "X509 CRL"), good.replacen('\n', "\n\n", 2)]
        {
            assert_eq!(first(other.as_bytes()), None, "{other}");
        }
    }
}
