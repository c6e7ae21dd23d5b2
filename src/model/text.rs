//! Text from outside made safe to print: one line, bounded, without control characters and without our secrets.

use std::borrow::Cow;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

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

const fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/')
}

/// A text without the private keys that stand there in base64, in however many lines: each is as long as what it decodes to says. One in
/// another form, or without its beginning, is not known for a key.
fn without_bare_keys(text: &str) -> Cow<'_, str> {
    let begins = |word: &str| bare_key(word).is_some() || word.starts_with(PEM) || word.starts_with(OPENSSH);
    if !text.split(|c| !is_base64(c)).any(begins) {
        return Cow::Borrowed(text);
    }
    // So many characters of the last key are still to come.
    let (mut kept, mut left, mut rest) = (String::new(), 0_usize, text);
    for piece in text.split_inclusive(|c| !is_base64(c)) {
        let from = rest;
        rest = rest.get(piece.len()..).unwrap_or_default();
        let word = piece.trim_end_matches(|c| !is_base64(c));
        if left == 0 {
            let Some(length) = bare_key(word).or_else(|| wrapped_key(from)) else {
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

/// How base64 of `-----BEGIN ` begins: a whole PEM file in base64, as secrets of Kubernetes have it.
const PEM: &str = "LS0tLS1CRUdJTi";
/// How base64 of `openssh-key-v1` begins: the body of OpenSSH's own form (its PROTOCOL.key).
const OPENSSH: &str = "b3BlbnNzaC1rZXktdj";

/// How many characters of base64 a private key takes with which this text begins, where the base64 is of PEM or of OpenSSH's form. All that
/// there is where its end is not seen: what comes next may be more of it.
fn wrapped_key(text: &str) -> Option<usize> {
    if !text.starts_with(PEM) && !text.starts_with(OPENSSH) {
        return None;
    }
    let lines = text.split(|c: char| !is_base64(c) && !c.is_ascii_whitespace()).next().unwrap_or_default();
    let mut joined: Zeroizing<String> = Zeroizing::new(String::with_capacity(lines.len() + 3));
    joined.extend(lines.chars().filter(|c| is_base64(*c)));
    while !joined.len().is_multiple_of(4) {
        joined.push('A');
    }
    let decoded = Zeroizing::new(Base64::decode_vec(&joined).unwrap_or_default());
    let end = if text.starts_with(OPENSSH) {
        openssh_end(&decoded)
    } else if names_key(&decoded) {
        pem_end(&decoded)
    } else {
        return None;
    };
    Some(end.map_or(usize::MAX, |bytes| (bytes * 8).div_ceil(6)))
}

/// Whether PEM holds a private key, or is cut off before it says what it holds.
fn names_key(pem: &[u8]) -> bool {
    let holds = |text: &[u8], what: &[u8]| text.windows(what.len()).any(|part| part == what);
    holds(pem, b"PRIVATE KEY-----") || !holds(pem.get(10..).unwrap_or_default(), b"-----")
}

/// Where PEM ends, with the end of its line; `None` where its last block has no end.
fn pem_end(pem: &[u8]) -> Option<usize> {
    let last = |what: &[u8]| pem.windows(what.len()).rposition(|part| part == what);
    let behind = last(b"-----END ").filter(|end| last(b"-----BEGIN ").is_some_and(|begin| begin < *end))? + 9;
    let rest = pem.get(behind..)?;
    let label = rest.windows(5).position(|part| part == b"-----")? + 5;
    let blank = rest.get(label..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    Some(behind + label + blank)
}

/// Where a key in OpenSSH's form ends: behind its name come cipher, derivation and its options, a count, the public and the private part.
fn openssh_end(key: &[u8]) -> Option<usize> {
    let mut rest = key.get(15..)?;
    for is_count in [false, false, false, true, false, false] {
        let (number, behind) = rest.split_first_chunk::<4>()?;
        let length = if is_count { 0 } else { usize::try_from(u32::from_be_bytes(*number)).ok()? };
        rest = behind.get(length..)?;
    }
    Some(key.len() - rest.len())
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
    fn a_private_key_in_base64_of_its_file_is_never_said_again() {
        let wrapped = |text: &str, columns: usize| {
            let whole = Base64::encode_string(text.as_bytes());
            whole.as_bytes().chunks(columns).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect::<Vec<_>>().join("\n")
        };
        let block = |label: &str| {
            let body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBwcHBwcHBwcHBwcH\n".repeat(3);
            format!("-----BEGIN {label}-----\n{body}-----END {label}-----")
        };
        let certificate = block("CERTIFICATE");
        for key in ["PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"].map(block) {
            for end in ["", "\n", "\r\n", "\n\n"] {
                for columns in [60, 64, 76, 10_000] {
                    for text in [format!("{key}{end}"), format!("{certificate}\n{key}{end}"), format!("{key}\n{certificate}{end}")] {
                        let said = format!("a {} b", wrapped(&text, columns));
                        assert_eq!(one_line(&said, 5000), "a [a private key] b", "{columns} {text}");
                        // Cut off, what follows is left out as well.
                        let cut = said.get(..said.len() - 20).unwrap();
                        assert_eq!(one_line(&format!("{cut}\" b"), 5000), "a [a private key]", "{columns} {text}");
                    }
                }
            }
        }
        let secret = format!("tls.crt: {} tls.key: \"{}\"", wrapped(&certificate, 10_000), wrapped(&block("PRIVATE KEY"), 10_000));
        assert_eq!(one_line(&secret, 5000), format!("tls.crt: {} tls.key: \"[a private key]\"", wrapped(&certificate, 10_000)));
        for kept in [wrapped(&certificate, 10_000), wrapped(&block("PUBLIC KEY"), 10_000), wrapped("-----BEGIN the work-----", 10_000)] {
            assert_eq!(one_line(&kept, 5000), kept);
        }
    }

    #[test]
    fn the_body_of_an_openssh_key_is_never_said_again() {
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let mut key = b"openssh-key-v1\0".to_vec();
        for part in [string(b"none"), string(b"none"), string(b""), vec![0, 0, 0, 1], string(&[5; 51]), string(&[7; 136])] {
            key.extend(part);
        }
        let body = Base64::encode_string(&key);
        let lines: Vec<&str> = (0..body.len()).step_by(70).map(|at| body.get(at..body.len().min(at + 70)).unwrap()).collect();
        for said in [body.clone(), lines.join("\n"), lines.join(" ")] {
            assert_eq!(one_line(&format!("a {said} b"), 900), "a [a private key] b");
        }
        assert_eq!(one_line(&format!("a {}", lines.first().unwrap()), 900), "a [a private key]");
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
