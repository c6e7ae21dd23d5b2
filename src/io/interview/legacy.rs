//! Whether a server still speaks TLS 1.0 or 1.1 (RFC 2246, RFC 4346; deprecated by RFC 8996): one hello, and the first bytes of the answer.
//! It must never go on with the handshake: this program does not speak these versions.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Question;
use crate::io::handshake::connect;

/// A version that this program does not speak itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legacy {
    /// RFC 2246.
    Tls10,
    /// RFC 4346.
    Tls11,
    /// RFC 5246, with the cipher suites of the older ones alone: this program offers none of them.
    Tls12,
}

impl Legacy {
    /// `TLSv1.0` or `TLSv1.1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
        }
    }

    const fn minor(self) -> u8 {
        match self {
            Self::Tls10 => 1,
            Self::Tls11 => 2,
            Self::Tls12 => 3,
        }
    }
}

/// Suites that these versions know, RSA and ECDSA, AES in CBC mode with SHA-1, and 3DES at last.
const SUITES: [u16; 8] = [0xc00a, 0xc014, 0xc009, 0xc013, 0x0035, 0x002f, 0xc012, 0x000a];

/// Whether the server answers a hello of this version with its own.
pub async fn speaks(question: &Question, version: Legacy) -> bool {
    let answer = tokio::time::timeout(question.deadline, first_bytes(question, version)).await;
    answer.ok().flatten().is_some_and(|bytes| is_server_hello(&bytes, version))
}

async fn first_bytes(question: &Question, version: Legacy) -> Option<[u8; 11]> {
    let mut stream = connect(&question.target()).await.ok()?;
    // Nothing is ever keyed by this hello, so its random value needs to be none.
    stream.write_all(&hello(&question.server_name, version, [0x4f; 32])).await.ok()?;
    let mut bytes = [0_u8; 11];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

/// Whether a server that closes at a hello answers one that comes behind a line of the PROXY protocol (version 1).
pub async fn after_proxy_line(question: &Question) -> bool {
    let asked = async {
        let mut stream = connect(&question.target()).await.ok()?;
        stream.write_all(b"PROXY UNKNOWN\r\n").await.ok()?;
        stream.write_all(&hello(&question.server_name, Legacy::Tls12, [0x4f; 32])).await.ok()?;
        stream.read_u8().await.ok()
    };
    // A handshake record or an alert: it read on.
    matches!(tokio::time::timeout(question.deadline, asked).await, Ok(Some(20..=23)))
}

/// A handshake record with a ServerHello of this version (RFC 4346 §6.2.1, §7.4.1.3).
fn is_server_hello(bytes: &[u8; 11], version: Legacy) -> bool {
    let [record, 3, _, _, _, kind, _, _, _, major, minor] = *bytes else { return false };
    record == 22 && kind == 2 && major == 3 && minor == version.minor()
}

/// A ClientHello (RFC 4346 §7.4.1.2) with the extensions that servers want for a name and for elliptic curves (RFC 6066 §3, RFC 8422 §5.1).
fn hello(server_name: &str, version: Legacy, random: [u8; 32]) -> Vec<u8> {
    let mut body = vec![3, version.minor()];
    body.extend(random);
    body.push(0);
    let suites: Vec<u8> = SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    body.extend(sized(&suites));
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    if server_name.parse::<std::net::IpAddr>().is_err() {
        let name = [&[0][..], &sized(server_name.as_bytes())].concat();
        extensions.extend(extension(0, &sized(&name)));
    }
    extensions.extend(extension(10, &sized(&[0, 23, 0, 24, 0, 25])));
    extensions.extend(extension(11, &[1, 0]));
    if version == Legacy::Tls12 {
        // signature_algorithms (RFC 5246 §7.4.1.4.1): SHA-256 and SHA-384 with RSA and ECDSA, RSA-PSS.
        extensions.extend(extension(13, &sized(&[4, 1, 5, 1, 4, 3, 5, 3, 8, 4])));
    }
    body.extend(sized(&extensions));
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let message = [&[1][..], length.get(1..).unwrap_or_default(), &body].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

/// The bytes with their length in two octets in front.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_has_the_lengths_that_it_says() {
        let bytes = hello("a.example", Legacy::Tls10, [7; 32]);
        let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let message = usize::from(bytes[6]) << 16 | usize::from(bytes[7]) << 8 | usize::from(bytes[8]);
        assert_eq!((record + 5, message + 9), (bytes.len(), bytes.len()));
        assert_eq!((bytes[0], bytes[5], bytes[9], bytes[10]), (22, 1, 3, 1));
        assert!(bytes.windows(9).any(|window| window == b"a.example"));
        assert!(!hello("127.0.0.1", Legacy::Tls11, [7; 32]).windows(9).any(|window| window == b"127.0.0.1"));
    }

    #[test]
    fn only_a_server_hello_of_that_version_counts() {
        let hello = |minor| [22, 3, minor, 0, 80, 2, 0, 0, 76, 3, minor];
        assert!(is_server_hello(&hello(1), Legacy::Tls10) && is_server_hello(&hello(2), Legacy::Tls11));
        assert!(!is_server_hello(&hello(2), Legacy::Tls10) && !is_server_hello(&hello(3), Legacy::Tls11));
        assert!(!is_server_hello(&[21, 3, 1, 0, 2, 2, 70, 0, 0, 0, 0], Legacy::Tls10));
        assert!(!is_server_hello(b"HTTP/1.1 40", Legacy::Tls10));
    }
}
