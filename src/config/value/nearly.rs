//! What was meant by a name or an address that is nearly one.

use std::net::IpAddr;

use crate::model::idn;
use crate::model::request::is_host_name;

/// What to write for a name with letters that no certificate carries in a DNS name.
pub(super) fn in_ascii(text: &str) -> Option<String> {
    let ascii = idn::ascii(text).filter(|ascii| is_host_name(ascii))?;
    Some(format!("write its ASCII form, \"{ascii}\""))
}

/// An IPv4 address that is none only for its leading zeros.
pub(super) fn without_zeros(text: &str) -> Option<IpAddr> {
    let plain = |part: &str| {
        let rest = part.trim_start_matches('0');
        if rest.is_empty() && !part.is_empty() { "0".to_owned() } else { rest.to_owned() }
    };
    text.split('.').map(plain).collect::<Vec<_>>().join(".").parse().ok()
}
