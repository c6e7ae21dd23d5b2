//! Weaknesses of OpenBao versions that matter to hosts which ask it for certificates, as published up to November 2026. A version that is not
//! listed is not thereby good.

use crate::model::code::Code;
use crate::model::failure::Warning;

/// One published weakness.
struct Advisory {
    id: &'static str,
    /// The first version with it.
    from: [u32; 3],
    /// The first version without it.
    mended: [u32; 3],
    what: &'static str,
}

const KNOWN: [Advisory; 3] = [
    Advisory {
        id: "CVE-2026-115369",
        from: [2, 5, 0],
        mended: [2, 6, 2],
        what: "allowed_ip_sans_cidr of a role is not enforced for CSRs, so any address is signed",
    },
    Advisory { id: "GHSA-rh46-vc3j-w2w3", from: [0, 0, 0], mended: [2, 6, 2], what: "inline authentication can be abused" },
    Advisory {
        id: "CVE-2026-39388",
        from: [0, 0, 0],
        mended: [2, 5, 3],
        what: "a token of the cert auth method is renewed with another certificate than it was made with",
    },
];

/// What is known of this version, as `sys/health` gives it.
#[must_use]
pub fn of(version: &str) -> Vec<Warning> {
    let Some(number) = number(version) else { return Vec::new() };
    let has = |advisory: &&Advisory| advisory.from <= number && number < advisory.mended;
    let text = |Advisory { id, mended: [major, minor, patch], what, .. }: &Advisory| {
        format!("OpenBao {version} has {id}: {what}; mended in {major}.{minor}.{patch}")
    };
    KNOWN.iter().filter(has).map(|advisory| Warning::new(Code::Advisory, text(advisory))).collect()
}

fn number(version: &str) -> Option<[u32; 3]> {
    let plain = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_what_was_published_of_it() {
        let rows: [(&str, &[&str]); 8] = [
            ("2.7.2", &[]),
            ("2.6.2", &[]),
            ("2.6.1", &["CVE-2026-115369", "GHSA-rh46-vc3j-w2w3"]),
            ("v2.5.0-rc1", &["CVE-2026-115369", "GHSA-rh46-vc3j-w2w3", "CVE-2026-39388"]),
            ("2.5.3+x", &["CVE-2026-115369", "GHSA-rh46-vc3j-w2w3"]),
            ("2.4.9", &["GHSA-rh46-vc3j-w2w3", "CVE-2026-39388"]),
            ("2.7", &[]),
            ("", &[]),
        ];
        for (version, expected) in rows {
            let found = of(version);
            assert_eq!(found.len(), expected.len(), "{version}: {found:?}");
            assert!(expected.iter().all(|id| found.iter().any(|warning| warning.text.contains(id))), "{version}: {found:?}");
        }
    }
}
