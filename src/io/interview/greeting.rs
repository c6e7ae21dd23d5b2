//! What a server says by itself before TLS: the greetings of protocols that go over to TLS when they are asked. It must never log in, or send
//! more than the question for TLS.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::Question;
use crate::io::handshake::connect;
use crate::model::starttls::StartTls;

/// The longest beginning that tells one from the other.
const HEAD: usize = 64;
/// Servers that speak first do so at once.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The protocol that greets there, or that answers to the question for TLS on the port that is its own.
pub async fn heard(question: &Question) -> Option<StartTls> {
    let head = tokio::time::timeout(PATIENCE.min(question.deadline), head(question)).await.ok().flatten().unwrap_or_default();
    if let Some(protocol) = of(&head) {
        return Some(protocol);
    }
    // These wait for the client.
    let port = question.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let waiting = match port {
        Some(5432) => StartTls::Postgres,
        Some(389) => StartTls::Ldap,
        _ => return None,
    };
    let asked = Question { starttls: Some(waiting), ..question.clone() };
    let stream = tokio::time::timeout(question.deadline, connect(&asked.target())).await;
    stream.ok().and_then(Result::ok).map(|_| waiting)
}

async fn head(question: &Question) -> Option<Vec<u8>> {
    let mut stream = connect(&question.target()).await.ok()?;
    let mut bytes = vec![0_u8; HEAD];
    let length = stream.read(&mut bytes).await.ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// By the first bytes of a greeting.
fn of(head: &[u8]) -> Option<StartTls> {
    let text = String::from_utf8_lossy(head);
    match head {
        // FTP greets with the same number; there is no TLS for it here.
        _ if (text.starts_with("220 ") || text.starts_with("220-")) && !text.to_ascii_uppercase().contains("FTP") => Some(StartTls::Smtp),
        _ if text.starts_with("* OK") || text.starts_with("* PREAUTH") => Some(StartTls::Imap),
        _ if text.starts_with("+OK") => Some(StartTls::Pop3),
        // Three octets of length, sequence number 0, protocol 10 ("Protocol::HandshakeV10").
        [_, _, 0, 0, 10, ..] => Some(StartTls::Mysql),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_told_by_how_they_begin() {
        for (head, expected) in [
            (&b"220 mail.example ESMTP\r\n"[..], Some(StartTls::Smtp)),
            (b"220 FTP server\r\n", None),
            (b"* OK IMAP4 ready", Some(StartTls::Imap)),
            (b"+OK ready", Some(StartTls::Pop3)),
            (&[0x4a, 0, 0, 0, 10, b'8', b'.'], Some(StartTls::Mysql)),
            (b"SSH-2.0-x", None),
            (b"", None),
        ] {
            assert_eq!(of(head), expected, "{head:?}");
        }
    }
}
