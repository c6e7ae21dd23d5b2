//! Directives that came or went with a version, where hosts still run others (nginx.org, CHANGES).

use crate::audit::facts::package::{Version, words};

/// The version that brought a directive, where hosts still run older ones (nginx.org, CHANGES).
const SINCE: &[(&str, Version)] = &[
    ("http2", [1, 25, 1]),
    ("http3", [1, 25, 0]),
    ("http3_hq", [1, 25, 0]),
    ("http3_stream_buffer_size", [1, 25, 0]),
    ("quic_retry", [1, 25, 0]),
    ("quic_gso", [1, 25, 0]),
    ("quic_host_key", [1, 25, 0]),
    ("ssl_reject_handshake", [1, 19, 4]),
    ("ssl_conf_command", [1, 19, 4]),
    ("proxy_ssl_conf_command", [1, 19, 4]),
    ("grpc_ssl_conf_command", [1, 19, 4]),
    ("ssl_ocsp", [1, 19, 0]),
    ("ssl_ocsp_cache", [1, 19, 0]),
    ("ssl_ocsp_responder", [1, 19, 0]),
    ("ssl_early_data", [1, 15, 3]),
    ("ssl_alpn", [1, 21, 4]),
    ("keepalive_time", [1, 19, 10]),
    ("keepalive_min_timeout", [1, 27, 4]),
    ("ssl_key_log", [1, 27, 2]),
    ("proxy_ssl_key_log", [1, 27, 2]),
    ("ssl_certificate_cache", [1, 27, 4]),
    ("proxy_ssl_certificate_cache", [1, 27, 4]),
    ("ssl_object_cache_inheritable", [1, 27, 4]),
    ("early_hints", [1, 29, 0]),
    ("ssl_certificate_compression", [1, 29, 1]),
    ("add_header_inherit", [1, 29, 3]),
    ("ssl_ech_file", [1, 29, 4]),
];
/// The version that took a directive out.
const UNTIL: &[(&str, Version)] = &[
    ("ssl", [1, 25, 1]),
    ("limit_zone", [1, 7, 6]),
    ("spdy_chunk_size", [1, 9, 5]),
    ("spdy_headers_comp", [1, 9, 5]),
    ("spdy_keepalive_timeout", [1, 9, 5]),
    ("spdy_max_concurrent_streams", [1, 9, 5]),
    ("spdy_recv_timeout", [1, 9, 5]),
];

/// What a version of nginx makes of a directive that another version has: since when, or until when, there is one.
pub(super) fn of_another(name: &str, version: Version) -> Option<String> {
    let since = SINCE.iter().find(|(known, since)| *known == name && version < *since);
    let until = UNTIL.iter().find(|(known, until)| *known == name && version >= *until);
    since.map(|(_, since)| format!("since {}", words(*since))).or_else(|| until.map(|(_, until)| format!("up to before {}", words(*until))))
}

/// Whether a version took it out.
pub(super) fn is_gone(name: &str) -> bool {
    UNTIL.iter().any(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_one_of_its_versions() {
        assert!(of_another("http2", [1, 22, 1]).is_some() && of_another("http2", [1, 25, 1]).is_none());
        assert!(of_another("ssl", [1, 25, 1]).is_some() && of_another("ssl", [1, 24, 0]).is_none());
        assert!(is_gone("spdy_headers_comp") && of_another("listen", [1, 0, 0]).is_none());
    }
}
