//! LDAP, PostgreSQL and MySQL: protocols of messages.

use super::{NotGranted, Talk, declined, foreign};

/// An ExtendedRequest with message id 1 for 1.3.6.1.4.1.1466.20037 (RFC 4511 §4.12, §4.14.1).
const LDAP_START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Tag of an ExtendedResponse: application class, constructed, 24.
const EXTENDED_RESPONSE: u8 = 0x78;
/// The longest message that is taken for an answer.
const LONGEST: usize = 8 * 1024;

/// SSLRequest: its length, and the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Capability flags of MySQL: CLIENT_SSL, and CLIENT_PROTOCOL_41 and CLIENT_SECURE_CONNECTION, which servers expect with it.
const CLIENT_SSL: u16 = 0x0800;
const CAPABILITIES: [u8; 4] = [0x00, 0x8a, 0x00, 0x00];

/// One ExtendedResponse with resultCode success (RFC 4511 §4.1.9).
pub(super) async fn ldap(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    talk.say(LDAP_START_TLS).await?;
    let message = element(talk).await?;
    let mut at = message.as_slice();
    let code = part(&mut at, 0x02)
        .and_then(|_| part(&mut at, EXTENDED_RESPONSE))
        .and_then(|mut response| part(&mut response, 0x0a).map(<[u8]>::to_vec));
    match code.as_deref() {
        Some([0]) => Ok(()),
        Some(code) => Err(declined(&format!("resultCode {}", code.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte))))),
        None => Err(foreign("its answer is no ExtendedResponse")),
    }
}

/// The content of one BER SEQUENCE from the connection (RFC 4511 §5.1: definite lengths only).
async fn element(talk: &mut Talk<'_>) -> Result<Vec<u8>, NotGranted> {
    let head = talk.bytes(2).await?;
    let &[0x30, first] = head.as_slice() else { return Err(foreign("its answer is no LDAPMessage")) };
    let length = match first {
        short @ 0..=0x7f => usize::from(short),
        0x81..=0x84 => {
            let bytes = talk.bytes(usize::from(first & 0x0f)).await?;
            bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
        }
        _ => return Err(foreign("its answer has no definite length")),
    };
    if length > LONGEST {
        return Err(foreign("its answer is too long"));
    }
    talk.bytes(length).await
}

/// The content of the next element, if it has this tag; `at` goes on behind it.
fn part<'a>(at: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&[found, first], rest) = at.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x0f))?;
            (bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *at = rest;
    (found == tag).then_some(content)
}

/// One byte: `S` or `N`, or an error message from a server that is older than the question.
pub(super) async fn postgres(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    talk.say(&SSL_REQUEST).await?;
    match talk.bytes(1).await?.as_slice() {
        b"S" => Ok(()),
        b"N" => Err(declined("it has ssl = off")),
        b"E" => Err(declined("it answers with an error")),
        _ => Err(foreign("its answer is neither S nor N")),
    }
}

/// The server speaks first; its capabilities say whether it has TLS, and no answer comes to the request but TLS itself.
pub(super) async fn mysql(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    let head = talk.bytes(4).await?;
    let length = head.iter().take(3).rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    let is_first = head.last() == Some(&0);
    if length == 0 || length > LONGEST || !is_first {
        return Err(foreign("its first message is no greeting"));
    }
    let greeting = talk.bytes(length).await?;
    if let Some(error) = greeting.strip_prefix(&[0xff]) {
        return Err(declined(&String::from_utf8_lossy(error.get(2..).unwrap_or_default())));
    }
    let capabilities = capabilities(&greeting).ok_or_else(|| foreign("its first message is no greeting of protocol 10"))?;
    if capabilities & CLIENT_SSL == 0 {
        return Err(declined("it offers no TLS"));
    }
    // Sequence 1, 32 bytes: capabilities, the largest packet, utf8mb4, and a filler of 23 zeros.
    let mut request = vec![32, 0, 0, 1];
    request.extend(CAPABILITIES);
    request.extend([0, 0, 0, 1, 45]);
    request.extend([0; 23]);
    talk.say(&request).await
}

/// The lower half of the capability flags of a greeting: behind the version, which ends with NUL, the connection id, eight bytes and one more.
fn capabilities(greeting: &[u8]) -> Option<u16> {
    let rest = greeting.strip_prefix(&[10])?;
    let version = rest.iter().position(|byte| *byte == 0)?;
    let at = version + 1 + 4 + 8 + 1;
    rest.get(at..at + 2).and_then(|pair| <[u8; 2]>::try_from(pair).ok()).map(u16::from_le_bytes)
}
