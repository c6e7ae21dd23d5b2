//! Host and port as configurations write them: `HOST:PORT`, `[::1]:PORT`, `https://HOST/…`.

/// Host and port of an address; IPv6 addresses stand in brackets where a port follows.
#[must_use]
pub fn of_pair(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

/// Host and port of an `http://` or `https://` URL.
#[must_use]
pub fn of_url(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(found) = of_pair(authority) {
        return Some(found);
    }
    let host = authority.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && !authority.ends_with(':') && (authority.starts_with('[') || !host.contains(':')))
        .then(|| (host.to_owned(), default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_they_are_meant() {
        let pair = |host: &str, port| Some((host.to_owned(), port));
        for (text, expected) in [
            ("127.0.0.1:8200", pair("127.0.0.1", 8200)),
            ("[::]:8200", pair("::", 8200)),
            (":8200", pair("", 8200)),
            ("::1", None),
            ("host", None),
            ("host:x", None),
            ("[::1:1", None),
        ] {
            assert_eq!(of_pair(text), expected, "{text}");
        }
        for (text, expected) in [
            ("https://a.b:8881/v2", pair("a.b", 8881)),
            ("https://a.b", pair("a.b", 443)),
            ("http://u:p@a.b/", pair("a.b", 80)),
            ("https://[::1]:1", pair("::1", 1)),
            ("https://[::1]/", pair("::1", 443)),
            ("HTTPS://a", pair("a", 443)),
            ("ftp://a", None),
            ("a.b:1", None),
            ("https://", None),
        ] {
            assert_eq!(of_url(text), expected, "{text}");
        }
    }
}
