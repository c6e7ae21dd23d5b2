//! Scripted servers, honest and hostile.
#![expect(clippy::disallowed_methods, reason = "the servers of these tests")]

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{NotGranted, negotiate};
use crate::model::starttls::StartTls::{self, Imap, Ldap, Mysql, Pop3, Postgres, Smtp};

/// What a server says: first by itself, then after each thing it was told.
async fn against(protocol: StartTls, says: &[&[u8]]) -> Result<(), NotGranted> {
    let says: Vec<Vec<u8>> = says.iter().map(|words| words.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        for (turn, words) in says.iter().enumerate() {
            let mut heard = [0_u8; 256];
            if turn > 0 && stream.read(&mut heard).await.is_ok_and(|count| count == 0) {
                return;
            }
            stream.write_all(words).await.ok();
        }
        // Nothing more until the client is gone.
        drop(stream.read(&mut [0_u8; 256]).await);
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    tokio::time::timeout(Duration::from_secs(5), negotiate(&mut stream, protocol)).await.expect("an end")
}

/// A greeting of MySQL 8 without and with CLIENT_SSL.
const MYSQL_OFF: &[u8] =
    b"\x4b\0\0\0\x0a8.0.1\0\x01\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0\0\0";
const MYSQL_ON: &[u8] =
    b"\x4b\0\0\0\x0a8.0.1\0\x01\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0\0\0";
const LDAP_YES: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
/// The same in OpenLDAP's other form of a length.
const LDAP_LONG: &[u8] = b"\x30\x84\0\0\0\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
const LDAP_NO: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00";

#[tokio::test]
async fn honest_servers_are_brought_to_where_tls_begins() {
    for (protocol, says) in [
        (Smtp, &[&b"220 a ESMTP\r\n"[..], b"250-a\r\n250-SIZE 1\r\n250 STARTTLS\r\n", b"220 2.0.0 Ready\r\n"][..]),
        (Smtp, &[b"220-a\r\n220 b\r\n", b"250 starttls\r\n", b"220\r\n"]),
        (Imap, &[b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK Begin TLS\r\n"]),
        (Pop3, &[b"+OK ready\r\n", b"+OK Begin TLS\r\n"]),
        (Ldap, &[b"", LDAP_YES]),
        (Ldap, &[b"", LDAP_LONG]),
        (Postgres, &[b"", b"S"]),
        (Mysql, &[MYSQL_ON]),
    ] {
        assert_eq!(against(protocol, says).await, Ok(()), "{protocol:?} {says:?}");
    }
}

#[tokio::test]
async fn whatever_comes_in_clear_behind_the_consent_ends_it() {
    for (protocol, says) in [
        (Smtp, &[&b"220 a\r\n"[..], b"250 STARTTLS\r\n", b"220 Ready\r\n250 STARTTLS\r\n"][..]),
        (Smtp, &[b"220 a\r\n250 STARTTLS\r\n", b"220 Ready\r\n"]),
        (Imap, &[b"* OK ready\r\n", b"a1 OK Begin\r\n* CAPABILITY IMAP4rev1\r\n"]),
        (Imap, &[b"* OK ready\r\na1 OK Begin\r\n"]),
        (Pop3, &[b"+OK ready\r\n", b"+OK Begin\r\n+OK logged in\r\n"]),
        (Ldap, &[b"", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30"]),
        (Postgres, &[b"", b"SR\0\0\0\x08\0\0\0\0"]),
        (Mysql, &[b"\x15\0\0\0\x0a8\0\x01\0\0\0abcdefgh\0\xff\xff\x2d\0\0\x07\0\0\x02\0\0\0\x02\0\0\0"]),
    ] {
        assert_eq!(against(protocol, says).await, Err(NotGranted::Injected), "{protocol:?} {says:?}");
    }
}

#[tokio::test]
async fn who_declines_or_speaks_something_else_is_told_apart() {
    let declined = |got: &Result<(), NotGranted>| matches!(got, Err(NotGranted::Declined(_)));
    let foreign = |got: &Result<(), NotGranted>| matches!(got, Err(NotGranted::Foreign(_)));
    type Is = fn(&Result<(), NotGranted>) -> bool;
    for (protocol, says, is) in [
        (Smtp, &[&b"220 a\r\n"[..], b"250 SIZE\r\n"][..], declined as Is),
        (Smtp, &[b"220 a\r\n", b"250 STARTTLS\r\n", b"454 not now\r\n"], declined),
        (Smtp, &[b"554 go away\r\n"], declined),
        (Smtp, &[b"SSH-2.0-x\r\n"], foreign),
        (Imap, &[b"* PREAUTH logged in as you\r\n"], declined),
        (Imap, &[b"* OK ready\r\n", b"a1 BAD no\r\n"], declined),
        (Imap, &[b"* OK ready\r\n", b"* BYE\r\n"], declined),
        (Imap, &[b"+OK pop\r\n"], foreign),
        (Pop3, &[b"+OK ready\r\n", b"-ERR no\r\n"], declined),
        (Pop3, &[b"220 a\r\n"], foreign),
        (Ldap, &[b"", LDAP_NO], declined),
        (Ldap, &[b"", b"\x30\x80\0\0"], foreign),
        (Ldap, &[b"", b"\x30\x84\x7f\xff\xff\xff"], foreign),
        (Ldap, &[b"", b"\x30\x03\x02\x01\x01"], foreign),
        (Postgres, &[b"", b"N"], declined),
        (Postgres, &[b"", b"H"], foreign),
        (Mysql, &[MYSQL_OFF], declined),
        (Mysql, &[b"\x0b\0\0\0\xff\x69\x04Too many"], declined),
        (Mysql, &[b"\xff\xff\xff\0x"], foreign),
    ] {
        let got = against(protocol, says).await;
        assert!(is(&got), "{protocol:?} {says:?}: {got:?}");
    }
    let cut = against_one_that_leaves(Mysql, b"\x0f\0\0\0\xff\x69\x04Too many").await;
    assert!(matches!(cut, Err(NotGranted::Ended(_))), "{cut:?}");
}

/// The server closes behind its first words.
async fn against_one_that_leaves(protocol: StartTls, words: &'static [u8]) -> Result<(), NotGranted> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(words).await.ok();
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    negotiate(&mut stream, protocol).await
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_left() {
    let words = vec![b'x'; super::MOST + 1024];
    for protocol in [Smtp, Imap, Pop3] {
        assert!(matches!(against(protocol, &[&words]).await, Err(NotGranted::Foreign(_))), "{protocol:?}");
    }
}
