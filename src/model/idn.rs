//! Internationalised names (RFC 5890, RFC 5891): certificates and the wire have their ASCII form.

/// The ASCII form of a name with other characters, such as `xn--mnchen-3ya.example`; `None` where it has none, or is ASCII already.
#[must_use]
pub fn ascii(name: &str) -> Option<String> {
    if name.is_ascii() {
        return None;
    }
    idna::domain_to_ascii(name).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_ascii_form() {
        assert_eq!(ascii("m\u{fc}nchen.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(ascii("M\u{dc}NCHEN.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!((ascii("a.example"), ascii("\u{2028}")), (None, None));
    }
}
