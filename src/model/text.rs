//! Text from outside made safe to print: one line, bounded, without control characters and without our secrets.

/// The longest text of a server that is kept ([Everywhere](crate::cli#everywhere)).
pub const SERVER_TEXT: usize = 300;

/// Escapes control and bidirectional-override characters, joins lines, and cuts after `limit` characters.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.trim().chars().enumerate() {
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
    fn our_own_secrets_are_taken_out_of_what_a_server_says() {
        assert_eq!(of_server("bad token hvs.abc, bad hvs.abc", &["hvs.abc", ""]), "bad token [redacted], bad [redacted]");
    }
}
