//! Values that acme.sh keeps in base64 between two marks.

use base64ct::{Base64, Encoding as _};

const START: &str = "__ACME_BASE64__START_";
const END: &str = "__ACME_BASE64__END_";

/// The value itself.
pub(super) fn plain(value: &str) -> String {
    let inner = value.strip_prefix(START).and_then(|rest| rest.strip_suffix(END));
    let bytes = inner.and_then(|inner| Base64::decode_vec(inner).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_is_read_whether_it_is_marked_or_not() {
        assert_eq!(super::plain("__ACME_BASE64__START_c3lzdGVtY3RsIHJlbG9hZCBuZ2lueA==__ACME_BASE64__END_"), "systemctl reload nginx");
        assert_eq!(super::plain("nginx -s reload"), "nginx -s reload");
    }
}
