//! A connection whose first bytes are noted: by them a server that speaks plain HTTP is told from one whose TLS is broken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The first bytes a peer sent, by which plain HTTP is told from broken TLS.
#[derive(Clone, Debug, Default)]
pub(in crate::io) struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl FirstBytes {
    const HTTP: &'static [u8] = b"HTTP/";

    fn note(&self, bytes: &[u8]) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = Self::HTTP.len().saturating_sub(first.len());
        first.extend(bytes.iter().take(missing));
    }

    pub(in crate::io) fn is_http(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_slice() == Self::HTTP
    }
}

/// A connection whose first bytes are noted.
#[derive(Debug)]
pub(in crate::io) struct Overheard {
    stream: TcpStream,
    first: FirstBytes,
}

impl Overheard {
    /// Notes what comes over this connection.
    pub(in crate::io) const fn new(stream: TcpStream, first: FirstBytes) -> Self {
        Self { stream, first }
    }
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.first.note(buffer.filled().get(before..).unwrap_or_default());
        poll
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// What belongs together is sent together: key exchange, change of cipher and end of a TLS 1.2 handshake are three buffers, and would be three
    /// packets.
    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
