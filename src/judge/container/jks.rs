//! Java's own keystore, version 2, with one private key: as `sun.security.provider.JavaKeyStore` and `KeyProtector` of OpenJDK read it. The
//! libraries that write it are of a generation of parsers before ours. The format knows no other encryption than a chain of SHA-1.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::{constant_time, rand};
use zeroize::Zeroizing;

use super::Contents;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const VERSION: u32 = 2;
const PRIVATE_KEY: u32 = 1;
const KIND: &str = "X.509";
/// What is hashed behind the password, for no reason but that it always was.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// Of SHA-1, and of the salt.
const DIGEST: usize = 20;
/// AlgorithmIdentifier of Sun's protection, 1.3.6.1.4.1.42.2.17.1.1, without parameters.
const PROTECTION: [u8; 16] = [0x30, 0x0e, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01, 0x05, 0x00];

/// The store, with the same password for itself and for its key.
pub(super) fn write(name: &str, password: &str, contents: Contents<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut salt = [0_u8; DIGEST];
    rand::fill(&mut salt).map_err(|_| "there is no randomness".to_owned())?;
    // Room for all of it: a vector that grows leaves copies behind.
    let room = contents.chain.iter().map(Vec::len).sum::<usize>() + contents.key.len() + name.len() + 1024;
    let mut store = Zeroizing::new(Vec::with_capacity(room));
    store.extend_from_slice(&MAGIC);
    for word in [VERSION, 1, PRIVATE_KEY] {
        store.extend_from_slice(&word.to_be_bytes());
    }
    text(&mut store, name)?;
    // The time of the entry: nobody reads it, and a fixed one tells nothing.
    store.extend_from_slice(&0_u64.to_be_bytes());
    block(&mut store, &protected(password, &salt, contents.key)?)?;
    store.extend_from_slice(&length(contents.chain.len())?.to_be_bytes());
    for certificate in contents.chain {
        text(&mut store, KIND)?;
        block(&mut store, certificate)?;
    }
    let seal = seal(password, &store);
    store.extend_from_slice(&seal);
    Ok(store)
}

/// Whether it opens and holds just this.
pub(super) fn holds(bytes: &[u8], password: &str, contents: Contents<'_>) -> bool {
    open(bytes, password).is_some_and(|found| *found.key == *contents.key && found.chain == contents.chain)
}

struct Opened {
    key: Zeroizing<Vec<u8>>,
    chain: Vec<Vec<u8>>,
}

fn open(bytes: &[u8], password: &str) -> Option<Opened> {
    let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    constant_time::verify_slices_are_equal(&seal(password, body), found).ok()?;
    let mut rest = Reader(body.strip_prefix(&MAGIC)?);
    if [rest.word()?, rest.word()?, rest.word()?] != [VERSION, 1, PRIVATE_KEY] {
        return None;
    }
    rest.text()?;
    rest.take(8)?;
    let key = unprotected(password, rest.block()?)?;
    let count = rest.word()?;
    let mut chain = Vec::new();
    for _ in 0..count {
        rest.text()?;
        chain.push(rest.block()?.to_vec());
    }
    rest.0.is_empty().then_some(Opened { key, chain })
}

/// EncryptedPrivateKeyInfo (RFC 5958 §3) of salt, key XOR the chain of digests, and a digest of the key.
fn protected(password: &str, salt: &[u8; DIGEST], key: &[u8]) -> Result<Vec<u8>, String> {
    let mut hidden = salt.to_vec();
    hidden.extend(crossed(password, salt, key).iter());
    hidden.extend_from_slice(&after(password, key));
    let inner = [PROTECTION.as_slice(), &der(0x04, &hidden)?].concat();
    der(0x30, &inner)
}

fn unprotected(password: &str, info: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let inner = content(0x30, info)?.strip_prefix(PROTECTION.as_slice())?;
    let (salt, rest) = content(0x04, inner)?.split_first_chunk::<DIGEST>()?;
    let (hidden, check) = rest.split_at_checked(rest.len().checked_sub(DIGEST)?)?;
    let key = crossed(password, salt, hidden);
    (after(password, &key) == check).then_some(key)
}

/// Each block of 20 bytes XOR SHA-1 of the password and the block of the chain before it; the first of them is the salt.
fn crossed(password: &str, salt: &[u8; DIGEST], bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let password = utf16(password);
    let (mut link, mut out) = (salt.to_vec(), Zeroizing::new(Vec::with_capacity(bytes.len())));
    for block in bytes.chunks(DIGEST) {
        link = sha1(&[&password, &link]);
        out.extend(block.iter().zip(&link).map(|(byte, mask)| byte ^ mask));
    }
    out
}

fn after(password: &str, key: &[u8]) -> Vec<u8> {
    sha1(&[&utf16(password), key])
}

fn seal(password: &str, store: &[u8]) -> Vec<u8> {
    sha1(&[&utf16(password), WHITENER, store])
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

/// As Java hashes it: each character in two bytes.
fn utf16(password: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * password.len()));
    bytes.extend(password.encode_utf16().flat_map(u16::to_be_bytes));
    bytes
}

fn length(of: usize) -> Result<u32, String> {
    u32::try_from(of).map_err(|_| "it is too long".to_owned())
}

fn block(store: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    store.extend_from_slice(&length(bytes.len())?.to_be_bytes());
    store.extend_from_slice(bytes);
    Ok(())
}

/// Modified UTF-8 of Java, which is ASCII for the names of certificates.
fn text(store: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let length = u16::try_from(text.len()).map_err(|_| "the name is too long".to_owned())?;
    store.extend_from_slice(&length.to_be_bytes());
    store.extend_from_slice(text.as_bytes());
    Ok(())
}

/// DER of a tag and its content, which is shorter than 64 KiB (X.690 §8.1.3).
fn der(tag: u8, content: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(content.len()).map_err(|_| "the key is too long".to_owned())?;
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    Ok([head.as_slice(), content].concat())
}

/// The content of the one element that is there.
fn content(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81 => rest.split_first().map(|(low, rest)| (usize::from(*low), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    (rest.len() == length).then_some(rest)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.word()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.try_into().ok().map(u16::from_be_bytes)?;
        self.take(usize::from(length))
    }
}
