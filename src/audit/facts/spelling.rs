//! The option that a misspelled one was meant to be.

use std::collections::BTreeSet;

/// Two names whose words agree this far are the same option, written differently.
const ALIKE: f64 = 0.6;

/// No option has a longer name; comparing takes time.
const LONGEST: usize = 80;

/// The option among `known` that `word` was meant to be, where one is near at all.
pub(crate) fn option<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let word = plain(word);
    let letters = |candidate: &str| strsim::damerau_levenshtein(&word, candidate);
    let nearest = known.iter().copied().min_by_key(|candidate| letters(&plain(candidate)))?;
    // One slip in a short name, two in a longer one.
    if letters(&plain(nearest)) <= 1 + usize::from(word.chars().count() > 5) {
        return Some(nearest);
    }
    let alike = |candidate: &&str| words(&word, &plain(candidate));
    let best = known.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)).then_with(|| letters(b).cmp(&letters(a))))?;
    (alike(&best) >= ALIKE).then_some(best)
}

/// How far the words of two names agree, from 0 to 1.
fn words(a: &str, b: &str) -> f64 {
    fn split(text: &str) -> BTreeSet<&str> {
        text.split('_').filter(|word| !word.is_empty()).collect()
    }
    let (a, b) = (split(a), split(b));
    let same = |x: &&&str| b.iter().any(|y| x == &y || (x.len() > 3 && strsim::damerau_levenshtein(x, y) <= 1));
    let shared = a.iter().filter(same).count();
    let all = (a.len() + b.len()).saturating_sub(shared);
    let ratio = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if all == 0 { 0.0 } else { ratio(shared) / ratio(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_strangers_are_not() {
        const KNOWN: &[&str] = &[
            "keylime_verifier_host",
            "keylime_verifier_port",
            "keylime_tls_ca_cert_file",
            "keylime_tls_cert_file",
            "keylime_tls_key_file",
            "plugin_data",
            "plugin_data_file",
            "trusted_client_ca",
            "uuid",
            "port",
            "ip",
        ];
        let cases: &[(&str, Option<&str>)] = &[
            ("keylime_tls_client_cert_file", Some("keylime_tls_cert_file")),
            ("keylime_tls_client_key_file", Some("keylime_tls_key_file")),
            ("keylime_tls_cert", Some("keylime_tls_cert_file")),
            ("keylime_ca_cert_file", Some("keylime_tls_ca_cert_file")),
            ("plugin_data_fil", Some("plugin_data_file")),
            ("plugin-data-file", Some("plugin_data_file")),
            ("trusted_client_cas", Some("trusted_client_ca")),
            ("trusted_ca", Some("trusted_client_ca")),
            ("Port", Some("port")),
            ("colour", None),
            ("x", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(option(word, KNOWN), *meant, "{word}");
        }
        assert_eq!(option("a", &[]), None);
    }
}
