//! What only HTTP tells: plain HTTP on a port that was taken for TLS, and client certificates that nginx lets pass in the handshake and refuses
//! afterwards ("400 No required SSL certificate was sent"). It must never ask over TLS where a real verifier has not accepted the server, nor
//! send more than one request without any content.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::Question;
use crate::io::handshake::{Target, connect};
use crate::io::tls;
use crate::model::clock::Clock;
use crate::model::text;

/// As much of an answer is read.
const ANSWER: usize = 8 * 1024;
/// For the request and its answer, after the handshake.
const PATIENCE: Duration = Duration::from_secs(2);
/// What servers say in HTTP of a client certificate that they do not take.
const WORDS: [&str; 3] = ["ssl certificate", "client certificate", "tls certificate"];

/// What the server says of our client certificate in HTTP, if it refuses it there.
pub async fn refusal(question: &Question, roots: &[Vec<u8>], clock: Clock) -> Option<String> {
    let name = ServerName::try_from(question.server_name.clone()).ok()?;
    let (config, _) = tls::trusting(roots, question.identity.as_ref(), clock).ok()?;
    let answer = tokio::time::timeout(question.deadline, async {
        let stream = connect(&question.target()).await.ok()?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let host = &question.server_name;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: omens\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let mut limited = stream.take(u64::try_from(ANSWER).unwrap_or(u64::MAX));
        // What came counts, whether it ended well or not.
        tokio::time::timeout(PATIENCE, limited.read_to_end(&mut answer)).await.ok();
        Some(answer)
    });
    refused(&String::from_utf8_lossy(&answer.await.ok()??))
}

/// Whether plain HTTP is spoken at this address. Some servers wait for the end of what they take for a request line, and never answer a TLS
/// hello (Keylime's Tornado does).
pub async fn is_plain(address: &str, deadline: Duration) -> bool {
    let asked = tokio::time::timeout(deadline.min(PATIENCE), async {
        let mut stream = connect(&Target::at(address.to_owned(), deadline)).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut begin = [0_u8; 5];
        stream.read_exact(&mut begin).await.ok()?;
        Some(begin)
    });
    asked.await.ok().flatten() == Some(*b"HTTP/")
}

/// The status and the words about the certificate, where the answer is such a refusal.
fn refused(answer: &str) -> Option<String> {
    let status = answer.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?;
    if !matches!(status, "400" | "401" | "403" | "495" | "496") {
        return None;
    }
    let about = answer.lines().find(|line| WORDS.iter().any(|word| line.to_ascii_lowercase().contains(word)))?;
    let mut words = String::new();
    let mut inside = false;
    for c in about.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => words.push(c),
            _ => {}
        }
    }
    Some(format!("HTTP {status}: {}", text::one_line(&words, 100)))
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn only_a_refusal_that_speaks_of_a_certificate_is_one() {
        let page =
            |status: &str, title: &str| format!("HTTP/1.1 {status}\r\nServer: x\r\n\r\n<html>\r\n<head><title>{title}</title></head>\r\n");
        assert_eq!(
            refused(&page("400 Bad Request", "400 No required SSL certificate was sent")).as_deref(),
            Some("HTTP 400: 400 No required SSL certificate was sent")
        );
        for other in [page("200 OK", "No required SSL certificate"), page("404 Not Found", "SSL certificate"), page("400 Bad Request", "x")]
        {
            assert_eq!(refused(&other), None);
        }
        assert_eq!(refused("SSH-2.0 client certificate"), None);
        assert_eq!(refused(""), None);
    }
}
