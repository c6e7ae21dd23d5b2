//! The one call of the SPIFFE Workload API that this program makes: a JWT-SVID from the agent of this host, over its socket. It must never
//! keep one, print one, or wait for an agent that does not answer.
//!
//! The API is gRPC; its messages have three fields of text, so they are written and read here (Protocol Buffers, Encoding), and no compiler of
//! `.proto` files is needed. What the agent answers was measured ([Workload API](crate::io#workload-api)).
#![expect(clippy::disallowed_methods, reason = "the one place that connects to the socket of a SPIRE agent")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use serde::Deserialize;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::model::clock::Clock;
use crate::model::secret::Token;
use crate::model::text;

/// For the whole call; an agent that must ask its server takes a moment.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const BODY: usize = 256 * 1024;
/// A JWT-SVID that ends sooner is of no use for a login, in seconds.
const ROOM: i64 = 10;
/// gRPC status codes (gRPC, Status codes and their use).
const PERMISSION_DENIED: u32 = 7;

/// Why there is no JWT-SVID.
#[derive(Debug, thiserror::Error)]
pub enum SvidError {
    /// Nobody listens.
    #[error("the socket of the SPIRE agent {} {why}", path.display())]
    Away {
        /// The socket.
        path: PathBuf,
        /// How that is seen.
        why: String,
    },
    /// The agent has none for us.
    #[error("the SPIRE agent gives this program no identity: {0}")]
    NoIdentity(String),
    /// The agent refuses.
    #[error("the SPIRE agent refuses (gRPC status {status}): {said}")]
    Refused {
        /// The status.
        status: u32,
        /// What it says.
        said: String,
    },
    /// It ends too soon.
    #[error("the JWT-SVID ends within {ROOM} s")]
    Ends,
    /// What came is no answer.
    #[error("the SPIRE agent answers with {0}")]
    Malformed(String),
}

impl SvidError {
    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Away { .. } => "see whether spire-agent runs (systemctl status spire-agent), and that `socket` names its socket_path",
            Self::NoIdentity(_) => {
                "make a registration entry for this program (spire-server entry create … -selector unix:uid:0); it takes up to 5 s to reach \
                 the agent"
            }
            Self::Refused { .. } => "see the agent's log; a server that it cannot reach is one reason",
            Self::Ends => "see whether the clocks of this host and of the SPIRE server agree, and the ttl of its JWT-SVIDs",
            Self::Malformed(_) => "check that `socket` names the Workload API of a SPIRE agent",
        }
    }
}

/// Asks the agent at this socket for a JWT-SVID for this audience.
///
/// # Errors
/// There is none.
pub async fn fetch_jwt_svid(socket: &Path, audience: &str, spiffe_id: Option<&str>, clock: Clock) -> Result<Token, SvidError> {
    let away = |why: String| SvidError::Away { path: socket.to_path_buf(), why };
    let asked = tokio::time::timeout(LIMIT, ask(socket, audience, spiffe_id)).await;
    let (id, svid) = asked.map_err(|_| away(format!("gave no answer within {} s", LIMIT.as_secs())))??.into_parts();
    if let Some(wanted) = spiffe_id.filter(|wanted| *wanted != id) {
        return Err(SvidError::Malformed(format!("the SVID of {}, expected that of {wanted}", text::of_server(&id, &[]))));
    }
    let ends = expiry(&svid).ok_or_else(|| SvidError::Malformed("a JWT-SVID without a time at which it ends".to_owned()))?;
    if ends <= clock.now().unix() + ROOM { Err(SvidError::Ends) } else { Ok(Token::new(svid)) }
}

async fn ask(socket: &Path, audience: &str, spiffe_id: Option<&str>) -> Result<Svid, SvidError> {
    let away = |why: String| SvidError::Away { path: socket.to_path_buf(), why };
    let stream = UnixStream::connect(socket).await.map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => away("is not there".to_owned()),
        std::io::ErrorKind::ConnectionRefused => away("refuses the connection: nobody listens any more".to_owned()),
        _ => away(format!("does not open: {why}")),
    })?;
    let lost = |why: h2::Error| SvidError::Malformed(format!("no gRPC: {}", text::of_server(&why.to_string(), &[])));
    let (sender, connection) = h2::client::handshake(stream).await.map_err(lost)?;
    let message = message(audience, spiffe_id);
    let exchange = exchange(sender, &message);
    tokio::select! {
        answer = exchange => answer,
        ended = connection => Err(match ended {
            Ok(()) => SvidError::Malformed("an end of the connection".to_owned()),
            Err(why) => lost(why),
        }),
    }
}

async fn exchange(sender: SendRequest<Bytes>, message: &[u8]) -> Result<Svid, SvidError> {
    let lost = |why: &dyn std::fmt::Display| SvidError::Malformed(format!("no gRPC: {}", text::of_server(&why.to_string(), &[])));
    let request = Request::post("http://localhost/SpiffeWorkloadAPI/FetchJWTSVID")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        // Without it the agent answers nobody: a browser or a proxy cannot be made to send it (SPIFFE Workload Endpoint §6).
        .header("workload.spiffe.io", "true")
        .body(())
        .map_err(|why| lost(&why))?;
    let mut sender = sender.ready().await.map_err(|why| lost(&why))?;
    let (answer, mut body): (ResponseFuture, _) = sender.send_request(request, false).map_err(|why| lost(&why))?;
    body.send_data(Bytes::from(framed(message)), true).map_err(|why| lost(&why))?;
    let (head, mut body) = answer.await.map_err(|why| lost(&why))?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(SvidError::Malformed(format!("HTTP status {}", head.status.as_u16())));
    }
    // Made whole: a buffer that grows leaves copies of the token behind.
    let mut received = Zeroizing::new(Vec::with_capacity(BODY));
    while let Some(part) = body.data().await {
        let part = part.map_err(|why| lost(&why))?;
        if received.len() + part.len() > BODY {
            return Err(SvidError::Malformed("more than it should".to_owned()));
        }
        body.flow_control().release_capacity(part.len()).map_err(|why| lost(&why))?;
        received.extend_from_slice(&part);
    }
    let trailers = body.trailers().await.map_err(|why| lost(&why))?;
    status(trailers.as_ref().unwrap_or(&head.headers))?;
    let message = unframed(&received).ok_or_else(|| SvidError::Malformed("no whole message".to_owned()))?;
    first_svid(message).ok_or_else(|| SvidError::Malformed("no JWT-SVID".to_owned()))
}

/// What the end of a gRPC call says (gRPC over HTTP/2, Responses).
fn status(headers: &HeaderMap) -> Result<(), SvidError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = text::of_server(text("grpc-message"), &[]);
    match text("grpc-status").parse() {
        Ok(0) => Ok(()),
        Ok(PERMISSION_DENIED) => Err(SvidError::NoIdentity(said)),
        Ok(status) => Err(SvidError::Refused { status, said }),
        Err(_) => Err(SvidError::Malformed("no gRPC status".to_owned())),
    }
}

/// A JWT-SVID as the agent gives it.
struct Svid {
    id: String,
    token: Zeroizing<String>,
}

impl Svid {
    fn into_parts(self) -> (String, Zeroizing<String>) {
        (self.id, self.token)
    }
}

/// `JWTSVIDRequest { repeated string audience = 1; string spiffe_id = 2; }`.
fn message(audience: &str, spiffe_id: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    for (tag, value) in [(0x0a, Some(audience)), (0x12, spiffe_id)] {
        let Some(value) = value else { continue };
        message.push(tag);
        let mut length = value.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(value.as_bytes());
    }
    message
}

/// A message with its length before it, not compressed.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat()
}

fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_at_checked(5)?;
    let (compressed, length) = head.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    (*compressed == 0 && usize::try_from(length).ok() == Some(message.len())).then_some(message)
}

/// `JWTSVIDResponse { repeated JWTSVID svids = 1; }`, `JWTSVID { string spiffe_id = 1; string svid = 2; string hint = 3; }`.
fn first_svid(response: &[u8]) -> Option<Svid> {
    let first = Fields(response).find_map(|field| (field.number == 1).then_some(field.bytes))?;
    let text = |number| {
        let field = Fields(first).find(|field| field.number == number)?;
        String::from_utf8(field.bytes.to_vec()).ok().filter(|text| !text.is_empty())
    };
    Some(Svid { id: text(1)?, token: Zeroizing::new(text(2)?) })
}

/// The fields of a message that hold bytes; the others are passed over. It ends where it cannot be read.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    number: u64,
    bytes: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let tag = self.number()?;
            let skipped = match tag & 7 {
                0 => {
                    self.number()?;
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => {
                    let length = usize::try_from(self.number()?).ok()?;
                    let (bytes, rest) = self.0.split_at_checked(length)?;
                    self.0 = rest;
                    return Some(Field { number: tag >> 3, bytes });
                }
                _ => return None,
            };
            self.0 = self.0.get(skipped..)?;
        }
    }
}

impl Fields<'_> {
    /// A number of up to ten bytes, seven bits in each, the least first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

/// `exp` of a JWT (RFC 7519 §4.1.4). Nothing is verified: whoever takes it does that.
fn expiry(jwt: &str) -> Option<i64> {
    let payload = jwt.split('.').nth(1)?;
    let claims = Zeroizing::new(Base64UrlUnpadded::decode_vec(payload).ok()?);
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_protocol_buffers_have_them() {
        assert_eq!(message("openbao", None), b"\x0a\x07openbao");
        assert_eq!(message("a", Some(&"b".repeat(130)))[..6], [0x0a, 1, b'a', 0x12, 0x82, 1]);
        assert_eq!(framed(b"ab"), b"\0\0\0\0\x02ab");
        for (body, expected) in
            [(&b"\0\0\0\0\x02ab"[..], Some(&b"ab"[..])), (b"\0\0\0\0\x03ab", None), (b"\x01\0\0\0\0", None), (b"\0", None)]
        {
            assert_eq!(unframed(body), expected);
        }
    }

    #[test]
    fn the_first_svid_is_found_and_what_is_cut_or_strange_is_none() {
        let svid = b"\x0a\x03s:/\x12\x05a.b.c\x1a\x01h";
        let whole = [&[0x10, 0x96, 1, 0x0a, svid.len() as u8][..], svid, b"\x0a\x00"].concat();
        let found = first_svid(&whole).unwrap();
        assert_eq!((found.id.as_str(), found.token.as_str()), ("s:/", "a.b.c"));
        for end in 0..4 + svid.len() {
            assert!(first_svid(&whole[..end]).is_none(), "{end}");
        }
        assert!(first_svid(b"\x0a\x05\x0a\x03s:/").is_none(), "no token in it");
        assert!(first_svid(&[0xff; 20]).is_none() && first_svid(b"\x0b").is_none());
    }

    #[test]
    fn the_end_of_a_call_and_of_a_token_are_read() {
        let headers = |status: &'static str, said: &'static str| {
            HeaderMap::from_iter(
                [("grpc-status", status), ("grpc-message", said)]
                    .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))),
            )
        };
        assert!(status(&headers("0", "")).is_ok());
        assert!(matches!(status(&headers("7", "no identity issued")), Err(SvidError::NoIdentity(said)) if said == "no identity issued"));
        assert!(matches!(status(&headers("14", "away")), Err(SvidError::Refused { status: 14, .. })));
        assert!(matches!(status(&HeaderMap::new()), Err(SvidError::Malformed(_))));
        let jwt = |claims: &str| format!("e30.{}.c2ln", Base64UrlUnpadded::encode_string(claims.as_bytes()));
        assert_eq!(expiry(&jwt("{\"exp\":1800000000,\"aud\":[\"openbao\"]}")), Some(1_800_000_000));
        assert!([jwt("{}"), jwt("[]"), "a".to_owned(), "a.!.c".to_owned()].iter().all(|bad| expiry(bad).is_none()));
    }
}
