//! Which fields of an answer a line takes: the certificate, the key, or neither. It must never take what is thrown away, or a field whose
//! name only begins so, for a key.

/// Which half of a pair a text speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Certificate,
    Key,
    Both,
    Neither,
}

/// What a line takes of an answer: what is said by a field counts before any other word.
pub(super) fn half(text: &str) -> Half {
    let text = &kept(text);
    let field = ["-field=", "-field ", ".data."].iter().flat_map(|mark| text.match_indices(mark).map(move |(at, mark)| at + mark.len()));
    let said: Vec<&str> = field.filter_map(|at| text.get(at..)).map(|rest| rest.trim_start_matches(['"', '\''])).collect();
    let of = |words: &[&str]| {
        let has = |name: &str| words.iter().any(|word| word.starts_with(name) && !word.starts_with("private_key_type"));
        match (has("certificate"), has("private_key")) {
            (true, true) => Half::Both,
            (true, false) => Half::Certificate,
            (false, true) => Half::Key,
            (false, false) => Half::Neither,
        }
    };
    if !said.is_empty() {
        return of(&said);
    }
    let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    of(&words)
}

/// A text without what jq takes out of an answer: `del(.data.private_key)`.
pub(super) fn kept(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("del(") {
        kept.push_str(before);
        // `model(` deletes nothing.
        if kept.ends_with(is_word) {
            kept.push_str("del(");
            rest = after;
            continue;
        }
        let mut depth = 1_usize;
        let end = after.char_indices().find(|(_, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        rest = end.and_then(|(at, _)| after.get(at..)).unwrap_or_default();
    }
    kept + rest
}

/// Whether a text has this name, and not the beginning of a longer one.
pub(super) fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, name)| !text.get(at + name.len()..).unwrap_or_default().starts_with(is_word))
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_that_a_line_takes_is_what_its_field_says() {
        for (text, expected) in [
            ("bao write -field=certificate pki_int/issue/x > c", Half::Certificate),
            ("bao write -field=private_key pki_int/issue/x > certificate.key", Half::Key),
            ("curl x/v1/pki/issue/r | jq -r .data.private_key > k", Half::Key),
            ("jq -r '.data.certificate, .data.private_key'", Half::Both),
            ("bao write -format=json pki/issue/x", Half::Neither),
            ("r.json()[\"data\"][\"certificate\"]", Half::Certificate),
            ("bao write -field=\"$1\" pki/issue/x", Half::Neither),
            ("jq -r .data.private_key_type", Half::Neither),
            ("jq 'del(.data.private_key) | .data.certificate'", Half::Certificate),
            ("kind = data[\"private_key_type\"]", Half::Neither),
        ] {
            assert!(half(text) == expected, "{text}");
        }
    }
}
