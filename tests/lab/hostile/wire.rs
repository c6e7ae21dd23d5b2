//! HTTP/1.1 by hand over TLS, so that an answer can be wrong at the byte level.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Health, Lie, Login, Request, RetryAfter, SECRET_ID, Shared, TOKEN, answer};

type Tls = TlsStream<TcpStream>;

/// Serves one connection until one side has enough.
pub(super) async fn serve(connection: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(mut tls) = acceptor.accept(connection).await else { return };
    while let Some((request, head)) = read(&mut tls, &shared).await {
        if respond(&mut tls, &shared, &request, head).await.is_none() {
            break;
        }
    }
    tls.shutdown().await.ok();
}

/// One whole request and the length of its head; `None` at the end of the connection or where a lie ends it.
async fn read(tls: &mut Tls, shared: &Shared) -> Option<(Request, usize)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if tls.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut first = text.lines().next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    if path.contains("/sign/") && shared.lies.lock().expect("lies").last() == Some(&Lie::ResetBefore) {
        next_lie(shared);
        reset(tls);
        return None;
    }
    let length = text.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").and_then(|v| v.trim().parse().ok()));
    while bytes.len() < head + length.unwrap_or(0) {
        if tls.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let request = Request { method, path, bytes };
    shared.requests.lock().expect("requests").push(request.clone());
    Some((request, head))
}

/// The lie for this request: the next of the list, the last one again and again.
fn next_lie(shared: &Shared) -> Lie {
    let mut lies = shared.lies.lock().expect("lies");
    let lie = *lies.last().expect("at least one");
    if lies.len() > 1 {
        lies.pop();
    }
    lie
}

/// A RST instead of a goodbye.
fn reset(tls: &Tls) {
    tls.get_ref().0.set_zero_linger().ok();
}

async fn respond(tls: &mut Tls, shared: &Shared, request: &Request, head: usize) -> Option<()> {
    let path = request.path.split('?').next().unwrap_or_default().trim_start_matches("/v1/");
    if path.contains("/sign/") {
        let lie = next_lie(shared);
        return sign(tls, shared, &request.bytes[head..], lie).await;
    }
    let is_late = *shared.login.lock().expect("login") == Login::Late;
    if path.ends_with("/login") && is_late {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    let (status, document) = match path {
        "sys/health" => return health(tls, shared).await,
        "auth/approle/login" | "auth/cert/login" | "auth/jwt/login" => login(shared),
        "sys/wrapping/unwrap" => (200, json!({ "data": { "secret_id": super::SECRET_ID } })),
        "auth/token/renew-self" => (200, json!({ "auth": { "client_token": TOKEN, "lease_duration": 3600, "renewable": true } })),
        "auth/token/revoke-self" => return send(tls, 204, "", b"").await,
        "auth/token/lookup-self" => {
            (200, json!({ "data": { "ttl": 600, "period": 3600, "renewable": true, "policies": ["omens-renew"] } }))
        }
        "sys/capabilities-self" => (200, capabilities(&request.bytes[head..])),
        _ => (404, json!({ "errors": [format!("no handler for route \"{path}\"")] })),
    };
    send_json(tls, status, &document).await
}

fn login(shared: &Shared) -> (u16, Value) {
    match *shared.login.lock().expect("login") {
        Login::Fine | Login::Late => {
            let auth =
                json!({ "client_token": TOKEN, "accessor": "acc", "policies": ["omens-renew"], "lease_duration": 600, "renewable": true });
            (200, json!({ "request_id": "r", "auth": auth, "data": null, "warnings": null }))
        }
        Login::Refused => (400, json!({ "errors": ["invalid role or secret ID"] })),
        Login::ServerError => (500, json!({ "errors": ["internal error"] })),
        Login::NoToken => (200, json!({ "auth": null })),
    }
}

fn capabilities(body: &[u8]) -> Value {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut data = json!({});
    for path in request["paths"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        data[path] = json!(["update"]);
    }
    json!({ "data": data })
}

async fn health(tls: &mut Tls, shared: &Shared) -> Option<()> {
    let health = *shared.health.lock().expect("health");
    let ahead = if let Health::Skewed(seconds) = health { seconds } else { 0 };
    let (status, sealed, standby) = match health {
        Health::NotFound => return send_json(tls, 404, &json!({ "errors": [] })).await,
        Health::Html => return send(tls, 200, "content-type: text/html\r\n", b"<html>welcome</html>").await,
        Health::Sealed => (503, true, false),
        Health::Standby => (429, false, true),
        Health::Fine | Health::Skewed(_) => (200, false, false),
    };
    let now = OffsetDateTime::now_utc().unix_timestamp() + ahead;
    let document = json!({ "initialized": true, "sealed": sealed, "standby": standby, "server_time_utc": now, "version": "2.7.2" });
    send_json(tls, status, &document).await
}

async fn sign(tls: &mut Tls, shared: &Shared, body: &[u8], lie: Lie) -> Option<()> {
    let errors = |text: &str| json!({ "errors": [text] });
    match lie {
        Lie::HeldBack => {
            let document = json!({ "data": null, "wrap_info": { "token": "hvs.held", "accessor": "a", "ttl": 86_400 } });
            return send_json(tls, 200, &document).await;
        }
        Lie::TooMany(after) => {
            let header = retry_after(after);
            let body = errors("request path \"pki_int/sign\": rate limit quota exceeded").to_string();
            send(tls, 429, &header, body.as_bytes()).await
        }
        Lie::Status(status) => send_json(tls, status, &errors("the lab says so")).await,
        Lie::Sealed => send_json(tls, 503, &errors("Vault is sealed")).await,
        Lie::SealedHtml => send(tls, 503, "content-type: text/html\r\n", b"<html><h1>503 Service Unavailable</h1></html>").await,
        Lie::TokenDenied => send_json(tls, 403, &errors("permission denied")).await,
        Lie::PolicyDenied => send_json(tls, 403, &errors("1 error occurred:\n\t* permission denied\n\n")).await,
        Lie::RoleRefused => send_json(tls, 400, &errors("common name www.funlab.casa not allowed by this role")).await,
        Lie::Echo => {
            let noise = "0123456789 ".repeat(800);
            send_json(tls, 400, &errors(&format!("bad token {TOKEN}, secret {SECRET_ID}\n\x1b[31m{noise}"))).await
        }
        Lie::Redirect => send(tls, 307, "location: https://127.0.0.1:9/elsewhere\r\n", b"").await,
        Lie::Html => send(tls, 200, "content-type: text/html\r\n", b"<html><body>It works!</body></html>").await,
        Lie::NotUtf8 => send(tls, 200, "", b"{\"data\":{\"certificate\":\"\xff\xfe\xff\"}}").await,
        Lie::Empty => send(tls, 200, "", b"").await,
        Lie::Endless => endless(tls).await,
        Lie::CloseSilently => None,
        Lie::ResetBefore | Lie::ResetAfter => {
            answer::signed(shared, body, Lie::Nothing);
            reset(tls);
            None
        }
        _ => good_or_bent(tls, shared, body, lie).await,
    }
}

/// An answer that has a certificate in it.
async fn good_or_bent(tls: &mut Tls, shared: &Shared, body: &[u8], lie: Lie) -> Option<()> {
    let data = answer::signed(shared, body, lie);
    let warnings = if lie == Lie::Warns { json!(["TTL is \u{1b}[31mlonger\u{202e} than permitted"]) } else { Value::Null };
    let document =
        json!({ "request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "warnings": warnings });
    let text = document.to_string();
    let (all, half) = (text.as_bytes(), &text.as_bytes()[..text.len() / 2]);
    match lie {
        Lie::Truncated => {
            write_head(tls, 200, "", Some(all.len())).await?;
            tls.write_all(half).await.ok()?;
            tls.flush().await.ok()?;
            None
        }
        Lie::WrongLength => {
            write_head(tls, 200, "", Some(half.len())).await?;
            tls.write_all(all).await.ok()?;
            tls.flush().await.ok()?;
            None
        }
        Lie::Drip => {
            write_head(tls, 200, "", Some(all.len())).await?;
            for byte in all {
                tls.write_all(&[*byte]).await.ok()?;
                tls.flush().await.ok()?;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            Some(())
        }
        _ => send(tls, 200, "", all).await,
    }
}

async fn endless(tls: &mut Tls) -> Option<()> {
    tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
    let chunk = [b"2000\r\n".as_slice(), &[b' '; 0x2000], b"\r\n"].concat();
    // 64 MiB stand for endless: a client that takes them all would have taken more.
    for _ in 0..8192 {
        tls.write_all(&chunk).await.ok()?;
    }
    None
}

fn retry_after(after: RetryAfter) -> String {
    match after {
        RetryAfter::Seconds(seconds) => format!("retry-after: {seconds}\r\n"),
        RetryAfter::Date(seconds) => {
            let at = OffsetDateTime::now_utc() + time::Duration::seconds(i64::from(seconds));
            // IMF-fixdate (RFC 9110 §5.6.7), from the pieces: the crate has no ready format for it.
            let (day, month) = (at.weekday().to_string(), at.month().to_string());
            format!(
                "retry-after: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                &day[..3],
                at.day(),
                &month[..3],
                at.year(),
                at.hour(),
                at.minute(),
                at.second()
            )
        }
        RetryAfter::Absurd => "retry-after: 31536000\r\n".into(),
        RetryAfter::Absent => String::new(),
    }
}

async fn write_head(tls: &mut Tls, status: u16, headers: &str, length: Option<usize>) -> Option<()> {
    let date = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let kind = if headers.contains("content-type") { "" } else { "content-type: application/json\r\n" };
    let length = length.map(|n| format!("content-length: {n}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {status} Lab\r\nx-lab-date: {date}\r\ncache-control: no-store\r\n{kind}{headers}{length}\r\n");
    tls.write_all(head.as_bytes()).await.ok()
}

async fn send(tls: &mut Tls, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    // A 204 has no body and no length (RFC 9110 §8.6).
    write_head(tls, status, headers, (status != 204).then_some(body.len())).await?;
    tls.write_all(body).await.ok()?;
    tls.flush().await.ok()
}

async fn send_json(tls: &mut Tls, status: u16, document: &Value) -> Option<()> {
    send(tls, status, "", document.to_string().as_bytes()).await
}
