//! Text from outside made safe to print: one line, bounded, without control characters and without our secrets.

use std::borrow::Cow;

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

/// A text without the private keys in it (RFC 7468): whoever says one, a program of the settings for one, it is not said again. What was cut
/// off before the end of a key is left out as well.
fn without_keys(text: &str) -> Cow<'_, str> {
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
        kept.push_str("[a private key]");
        let end = from.split_once(END).and_then(|(_, end)| end.split_once("-----"));
        rest = end.filter(|(label, _)| pem_label(label).is_some_and(|label| label.ends_with(KEY))).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
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
