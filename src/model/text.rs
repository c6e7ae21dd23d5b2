//! Text from outside made safe to print: one line, bounded, without control characters and without our secrets.

use std::borrow::Cow;

use base64ct::{Base64, Encoding as _};

/// The longest text of a server that is kept ([Everywhere](crate::cli#everywhere)).
pub const SERVER_TEXT: usize = 300;

/// Escapes control and bidirectional-override characters, joins lines, leaves private keys out, and cuts after `limit` characters.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for (count, c) in without_keys(text.trim()).chars().enumerate() {
        if count == limit {
            line.push('…');
            break;
        }
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_invisible(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// The longest label of PEM that is taken for one, and the longest word in it: no label in use comes near, and a key in base64 is longer.
const LABEL: usize = 64;
const LABEL_WORD: usize = 15;

/// What stands between `BEGIN ` and five dashes, where it is a label (RFC 7468 §3): printable, no two dashes or spaces in a row, and short.
#[must_use]
pub fn pem_label(text: &str) -> Option<&str> {
    let word = |word: &str| !word.is_empty() && word.len() <= LABEL_WORD && word.bytes().all(|byte| byte.is_ascii_graphic());
    (text.len() <= LABEL && text.split([' ', '-']).all(word)).then_some(text)
}

/// What is shown in place of a private key.
const KEY_SHOWN: &str = "[a private key]";

/// A text without the private keys in it (RFC 7468): whoever says one, a program of the settings for one, it is not said again. What was cut
/// off before the end of a key is left out as well.
fn without_keys(text: &str) -> Cow<'_, str> {
    match without_armoured_keys(text) {
        Cow::Borrowed(text) => without_bare_keys(text),
        Cow::Owned(text) => Cow::Owned(without_bare_keys(&text).into_owned()),
    }
}

fn without_armoured_keys(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const KEY: &str = "PRIVATE KEY";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, from)) = rest.split_once(BEGIN) {
        kept.push_str(before);
        let label = from.split_once("-----").and_then(|(label, _)| pem_label(label));
        if label.is_none() && !from.is_empty() {
            // What comes next is not known, and may be a key.
            kept.push_str("[a damaged PEM block]");
            return Cow::Owned(kept);
        }
        if !label.is_some_and(|label| label.ends_with(KEY)) {
            kept.push_str(BEGIN);
            rest = from;
            continue;
        }
        kept.push_str(KEY_SHOWN);
        let end = from.split_once(END).and_then(|(_, end)| end.split_once("-----"));
        rest = end.filter(|(label, _)| pem_label(label).is_some_and(|label| label.ends_with(KEY))).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// A word shorter than this between the lines of a key is not one of them.
const KEY_LINE: usize = 16;

/// A text without the private keys that stand there in base64 and without the boundaries of PEM, in however many lines: each is as long as its
/// DER says. One in another form, or without its beginning, is not known for a key.
fn without_bare_keys(text: &str) -> Cow<'_, str> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    if !text.split(|c| !is_base64(c)).any(|word| bare_key(word).is_some()) {
        return Cow::Borrowed(text);
    }
    // So many characters of the last key are still to come.
    let (mut kept, mut left) = (String::new(), 0_usize);
    for piece in text.split_inclusive(|c| !is_base64(c)) {
        let word = piece.trim_end_matches(|c| !is_base64(c));
        if left == 0 {
            let Some(length) = bare_key(word) else {
                // Padding belongs to the key.
                let is_padding = piece == "=" && kept.ends_with(KEY_SHOWN);
                kept.push_str(if is_padding { "" } else { piece });
                continue;
            };
            kept.push_str(KEY_SHOWN);
            left = length;
        }
        let length = word.len().min(left);
        if word.len() >= KEY_LINE || word.len() >= left {
            left -= length;
        }
        if left == 0 {
            kept.push_str(piece.get(length..).unwrap_or_default().trim_start_matches('='));
        }
    }
    Cow::Owned(kept)
}

/// How many characters of base64 a private key in DER takes of which this is the beginning: a SEQUENCE that begins with the version 0 or 1, as
/// PKCS #8 (RFC 5958 §2), PKCS #1 (RFC 8017 §A.1.2) and SEC 1 (RFC 5915 §3) have it. Certificates, requests and public keys begin with another
/// SEQUENCE.
fn bare_key(word: &str) -> Option<usize> {
    let head = word.get(..12).filter(|head| head.starts_with('M'))?;
    let head = Base64::decode_vec(head).ok()?;
    let (length, content) = match head.as_slice() {
        [0x30, 0x82, high, low, content @ ..] => (4 + usize::from(u16::from_be_bytes([*high, *low])), content),
        [0x30, 0x81, length, content @ ..] => (3 + usize::from(*length), content),
        [0x30, length @ 0..=0x7f, content @ ..] => (2 + usize::from(*length), content),
        _ => return None,
    };
    matches!(content, [0x02, 0x01, 0x00 | 0x01, ..]).then(|| (length * 8).div_ceil(6))
}

/// So many characters of base64 in a row may be a part of a secret key; names and paths are shorter, or are of fewer kinds of characters.
const SECRET: usize = 24;

/// A line of a file as it may be quoted: without what looks like a part of a key in base64, wherever the file's boundaries are.
#[must_use]
pub fn without_base64(text: &str) -> Cow<'_, str> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    if !text.split(|c| !is_base64(c)).any(is_key_like) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    for run in text.split_inclusive(|c| !is_base64(c)) {
        let word = run.trim_end_matches(|c| !is_base64(c));
        kept.push_str(if is_key_like(word) { "[base64]" } else { word });
        kept.push_str(run.get(word.len()..).unwrap_or_default());
    }
    Cow::Owned(kept)
}

/// Letters of both cases in about equal number, and figures: a hash in hexadecimal is of one case, a path of one for the most part.
fn is_key_like(word: &str) -> bool {
    let many = |is: fn(&u8) -> bool| word.bytes().filter(is).count() * 6 >= word.len();
    word.len() >= SECRET && many(u8::is_ascii_uppercase) && many(u8::is_ascii_lowercase) && word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Characters that change how the text around them is shown (Unicode TR 9 and zero-width ones): a certificate's name may hold them.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}')
}

/// A server's text as it may be shown: our secrets in it replaced, one line, at most [`SERVER_TEXT`] characters.
#[must_use]
pub fn of_server(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        text = text.replace(secret, "[redacted]");
    }
    one_line(&text, SERVER_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_never_steered_by_a_name() {
        assert_eq!(one_line("a\x1b[31m\nb\u{202e}c", 100), "a\\u{1b}[31m b\\u{202e}c");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }

    #[test]
    fn a_private_key_is_never_said_again() {
        for (said, expected) in [
            ("a -----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY----- b", "a [a private key] b"),
            ("-----BEGIN EC PRIVATE KEY-----\nMC4C\n-----END EC PRIVATE KEY-----", "[a private key]"),
            ("x -----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4C", "x [a private key]"),
            ("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END CERTIFICATE-----", "[a private key]"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----"),
            ("-----BEGIN PRIVATE KEY-----\n-----END MI-----\n-----BEGIN PRIVATE KEY-----\nMC4C", "[a private key]"),
            ("x -----BEGIN MIGHAgEAMBMGByqGSM49-----END PRIVATE KEY-----", "x [a damaged PEM block]"),
            ("-----BEGIN PRIVATE KEY MIGHAgEAMBMGByqGSM49", "[a damaged PEM block]"),
            ("-----BEGIN ", "-----BEGIN"),
            // In base64 without boundaries: PKCS #8 of Ed25519 and of P-256 over three lines, SEC 1, PKCS #1 cut off.
            ("a MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC b", "a [a private key] b"),
            (
                "key=MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBwcHBwcHBwcHBwcH\nBwcHBwcHBwcHBwcHBwcHBwcHBwehRANCAAQJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ\ndone",
                "key=[a private key] done",
            ),
            ("{\"k\":\"MDECAQEEIKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKiooAoGCCqGSM49AwEH\"}", "{\"k\":\"[a private key]\"}"),
            ("MCYCAQEEIaioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqA== c", "[a private key] c"),
            ("x MIIEpAIBAAKCAQEA0Z\nout ABCDEFGHIJKLMNOPQRST", "x [a private key]"),
            // Certificates, requests and public keys begin with another SEQUENCE.
            ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
            ("MIIBszCCAVmgAwIBAgIUQ", "MIIBszCCAVmgAwIBAgIUQ"),
            ("MIDDLEWARE MC4", "MIDDLEWARE MC4"),
        ] {
            assert_eq!(one_line(said, 200), expected);
        }
    }

    #[test]
    fn a_line_of_base64_is_left_out_and_names_and_hashes_are_kept() {
        let line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ8Fm2d1q+Kx3/7Zs";
        assert_eq!(without_base64(&format!("unknown: `{line}` = {line}é")), "unknown: `[base64]` = [base64]é");
        for kept in [
            "/etc/systemd/system/OmensRenew2.timer",
            "/var/lib/SomeVendor/Certificates2027/web",
            "f3b7a5c0d1e2f3b7a5c0d1e2f3b7a5c0d1e2f3b7a5c0d1e2f3b7a5c0d1e2f3b7",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "the file ends inside the block PRIVATE KEY",
        ] {
            assert_eq!(without_base64(kept), kept);
        }
    }

    #[test]
    fn our_own_secrets_are_taken_out_of_what_a_server_says() {
        assert_eq!(of_server("bad token hvs.abc, bad hvs.abc", &["hvs.abc", ""]), "bad token [redacted], bad [redacted]");
    }
}
