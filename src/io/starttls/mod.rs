//! The few words in clear before TLS, by which a server consents to it. It must never log in, nor let anything that was said in clear count
//! for what comes after: bytes behind the consent are somebody else's (CVE-2011-0411, CVE-2021-23222), and the connection is given up.

mod binary;
mod lines;
#[cfg(test)]
mod tests;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::model::starttls::StartTls;
use crate::model::text;

/// Longest text of a server that is kept.
const WORDS: usize = 120;
/// As much may be said in clear, all together.
const MOST: usize = 32 * 1024;

/// Why a server did not go over to TLS. Texts are fit to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// It does not offer TLS, or says no.
    #[error("does not go over to TLS: {0}")]
    Declined(String),
    /// More came in clear than its consent.
    #[error("sent bytes in clear after its consent to TLS: somebody may put words between")]
    Injected,
    /// It does not speak this protocol.
    #[error("does not speak the protocol: {0}")]
    Foreign(String),
    /// The connection ended.
    #[error("ended the connection before TLS: {0}")]
    Ended(String),
}

/// Brings a fresh connection to the point where TLS begins.
///
/// # Errors
/// The server does not consent, or says more than that.
pub(in crate::io) async fn negotiate(stream: &mut TcpStream, protocol: StartTls) -> Result<(), NotGranted> {
    let mut talk = Talk { stream, unread: Vec::new(), heard: 0 };
    match protocol {
        StartTls::Smtp => lines::smtp(&mut talk).await,
        StartTls::Imap => lines::imap(&mut talk).await,
        StartTls::Pop3 => lines::pop3(&mut talk).await,
        StartTls::Ldap => binary::ldap(&mut talk).await,
        StartTls::Postgres => binary::postgres(&mut talk).await,
        StartTls::Mysql => binary::mysql(&mut talk).await,
    }?;
    talk.nothing_more()
}

/// A conversation in clear, bounded in length; its time is the caller's matter.
struct Talk<'a> {
    stream: &'a mut TcpStream,
    unread: Vec<u8>,
    heard: usize,
}

impl Talk<'_> {
    async fn say(&mut self, bytes: &[u8]) -> Result<(), NotGranted> {
        use tokio::io::AsyncWriteExt as _;
        // What was sent before we asked for it answers nothing of ours.
        if !self.unread.is_empty() {
            return Err(NotGranted::Injected);
        }
        self.stream.write_all(bytes).await.map_err(|why| NotGranted::Ended(text::one_line(&why.to_string(), WORDS)))
    }

    /// More bytes from the server.
    async fn listen(&mut self) -> Result<(), NotGranted> {
        let mut bytes = [0_u8; 1024];
        let count = self.stream.read(&mut bytes).await.map_err(|why| NotGranted::Ended(text::one_line(&why.to_string(), WORDS)))?;
        if count == 0 {
            return Err(NotGranted::Ended("without a word of its consent".to_owned()));
        }
        self.heard += count;
        if self.heard > MOST {
            return Err(NotGranted::Foreign(format!("it said more than {MOST} bytes")));
        }
        self.unread.extend(bytes.iter().take(count));
        Ok(())
    }

    /// Exactly this many bytes.
    async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, NotGranted> {
        while self.unread.len() < count {
            self.listen().await?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// One line without its end.
    async fn line(&mut self) -> Result<String, NotGranted> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.listen().await?;
        }
    }

    /// After the consent a server waits for our hello: whatever is there before that was put between.
    fn nothing_more(&self) -> Result<(), NotGranted> {
        let mut byte = [0_u8; 1];
        let is_more = !self.unread.is_empty() || self.stream.try_read(&mut byte).is_ok_and(|count| count > 0);
        if is_more { Err(NotGranted::Injected) } else { Ok(()) }
    }
}

fn declined(said: &str) -> NotGranted {
    NotGranted::Declined(text::one_line(said, WORDS))
}

fn foreign(said: &str) -> NotGranted {
    NotGranted::Foreign(text::one_line(said, WORDS))
}
