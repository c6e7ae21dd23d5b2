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

/// A text without the private keys in it (RFC 7468): whoever says one, a program of the settings for one, it is not said again. What was cut
/// off before the end of a key is left out as well.
fn without_keys(text: &str) -> Cow<'_, str> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const KEY: &str = "PRIVATE KEY-----";
    if !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, from)) = rest.split_once(BEGIN) {
        kept.push_str(before);
        let is_key = from.split("-----").next().is_some_and(|label| label.ends_with("PRIVATE KEY"));
        if !is_key {
            kept.push_str(BEGIN);
            rest = from;
            continue;
        }
        kept.push_str("[a private key]");
        rest = from.split_once(END).and_then(|(_, end)| end.split_once(KEY)).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
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
            ("-----BEGIN ", "-----BEGIN"),
        ] {
            assert_eq!(one_line(said, 200), expected);
        }
    }

    #[test]
    fn our_own_secrets_are_taken_out_of_what_a_server_says() {
        assert_eq!(of_server("bad token hvs.abc, bad hvs.abc", &["hvs.abc", ""]), "bad token [redacted], bad [redacted]");
    }
}
