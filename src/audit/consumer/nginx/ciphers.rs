//! Cipher suites of TLS 1.2 as OpenSSL's lists name them (ciphers(1)): which kind of key each needs. It must never judge a list with groups
//! in it (`HIGH`, `ECDHE`): what they hold depends on the library.

use super::scope::Scope;
use crate::audit::facts::terms::Suites;

/// The suites that `ssl_ciphers` or its like of a call allows.
pub(super) fn of(scope: &Scope<'_>, directive: &str) -> Option<Suites> {
    suites(scope.get(directive)?.arg())
}

/// What a list allows, where every word of it is one suite.
fn suites(list: &str) -> Option<Suites> {
    let mut suites = Suites::default();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        // What is taken out, the order, and suites of TLS 1.3, which this list does not rule.
        if word.starts_with(['!', '-', '@']) || word.starts_with("TLS_") {
            continue;
        }
        suites.add(word, auth(word)?);
    }
    (!suites.is_empty()).then_some(suites)
}

/// The kind of key of a suite's name: whether it is an EC key.
fn auth(name: &str) -> Option<bool> {
    let sealed =
        ["-GCM-SHA256", "-GCM-SHA384", "-SHA256", "-SHA384", "-SHA", "-POLY1305", "-CCM", "-CCM8"].iter().any(|end| name.ends_with(end));
    let starts = |all: &[&str]| all.iter().any(|start| name.starts_with(start));
    match () {
        () if !sealed => None,
        () if name.starts_with("ECDHE-ECDSA-") => Some(true),
        () if starts(&["ECDHE-RSA-", "DHE-RSA-", "AES128-", "AES256-", "CAMELLIA128-", "CAMELLIA256-", "DES-CBC3-"]) => Some(false),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_suites_says_which_keys_it_serves() {
        let kinds = |list: &str| suites(list).map(|suites| (suites.fits(true), suites.fits(false)));
        assert_eq!(kinds("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"), Some((true, true)));
        assert_eq!(kinds("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA:!aNULL"), Some((false, true)));
        assert_eq!(kinds("ECDHE-ECDSA-CHACHA20-POLY1305"), Some((true, false)));
        for list in ["HIGH:!aNULL:!MD5", "ECDHE-RSA-AES128-GCM-SHA256:HIGH", "EECDH+AESGCM", "DEFAULT", "", "TLS_AES_128_GCM_SHA256"] {
            assert_eq!(kinds(list), None, "{list}");
        }
    }
}
