//! Files that hold a private key together with its chain for consumers that read no PEM, written under a password and looked into again.
//! What each format promises is its own; none of them is what keeps the key safe: that is the mode of the file.

mod jks;
mod pkcs12;

use zeroize::Zeroizing;

/// A format that needs a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Java's own format before Java 9. Its encryption is SHA-1 in a chain, whatever the password.
    Jks,
    /// PKCS #12 (RFC 7292) with PBES2: PBKDF2, AES-256 and HMAC, all with SHA-256 (RFC 8018), as OpenSSL 3 and Java 17 write it.
    Pkcs12,
}

/// Below this `keytool` opens nothing.
pub const PASSWORD_MIN: usize = 6;

/// A private key and the certificates that belong to it.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// PKCS#8 DER (RFC 5958).
    pub key: &'a [u8],
    /// DER, the leaf first.
    pub chain: &'a [Vec<u8>],
}

impl std::fmt::Debug for Contents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Format {
    /// The file, with one entry of this name. No two are equal: salts are drawn each time.
    ///
    /// # Errors
    /// What the format cannot hold, in words.
    pub fn write(self, name: &str, password: &str, contents: Contents<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Jks => jks::write(name, password, contents),
            Self::Pkcs12 => pkcs12::write(name, password, contents),
        }
    }

    /// Whether a file opens with this password and holds exactly this key and chain.
    #[must_use]
    pub fn holds(self, bytes: &[u8], password: &str, contents: Contents<'_>) -> bool {
        match self {
            Self::Jks => jks::holds(bytes, password, contents),
            Self::Pkcs12 => pkcs12::holds(bytes, password, contents),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit;

    #[test]
    fn a_container_holds_what_was_put_into_it_and_nothing_else_does() {
        let pki = kit::Pki::new();
        let (key, other) = (pki.key.serialize_der(), kit::key().serialize_der());
        let chain = vec![pki.leaf(), pki.middle.der.clone()];
        let contents = Contents { key: &key, chain: &chain };
        for format in [Format::Jks, Format::Pkcs12] {
            let bytes = format.write("web", "changeit", contents).unwrap();
            assert_ne!(*bytes, *format.write("web", "changeit", contents).unwrap(), "{format:?}: the salt is drawn each time");
            assert!(format.holds(&bytes, "changeit", contents), "{format:?}");
            assert!(!bytes.windows(key.len()).any(|window| window == key), "{format:?}: the key is in clear");
            assert!(!format.holds(&bytes, "changeit2", contents), "{format:?}");
            assert!(!format.holds(&bytes, "changeit", Contents { key: &other, ..contents }), "{format:?}");
            assert!(!format.holds(&bytes, "changeit", Contents { chain: &chain[..1], ..contents }), "{format:?}");
            for at in (0..bytes.len()).step_by(97) {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 1;
                assert!(!format.holds(&damaged, "changeit", contents), "{format:?}: byte {at}");
                assert!(!format.holds(&bytes[..at], "changeit", contents), "{format:?}: cut at {at}");
            }
        }
    }
}
