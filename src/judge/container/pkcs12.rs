//! PKCS #12 (RFC 7292), by the library. What it holds of a key while it works it does not wipe.

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKey, PrivateKeyChain};
use zeroize::Zeroizing;

use super::Contents;

/// Rounds of PBKDF2 and of the MAC: what Java writes. More would be spent at every look, on a password that lies beside the file.
const ROUNDS: u32 = 10_000;

/// One key with its chain, under PBES2.
pub(super) fn write(name: &str, password: &str, contents: Contents<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
    let words = |why: p12_keystore::error::Error| why.to_string();
    let chain = contents.chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>().map_err(words)?;
    let key = PrivateKey::from_der(contents.key).map_err(words)?;
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(name, key, chain)));
    let bytes = store.writer(password).encryption_iterations(ROUNDS).mac_iterations(ROUNDS).write().map_err(words)?;
    Ok(Zeroizing::new(bytes))
}

/// Whether it opens and holds just this.
pub(super) fn holds(bytes: &[u8], password: &str, contents: Contents<'_>) -> bool {
    let Ok(found) = Pkcs12Archive::from_pkcs12(bytes, password) else { return false };
    let [key] = found.keys.as_slice() else { return false };
    key.key.as_der() == contents.key && found.secrets.is_empty() && found.certs.iter().map(|bag| bag.cert.as_der()).eq(contents.chain)
}
