//! What a successful answer holds, read from JSON that may be anything. It must never keep a private key, nor repeat an answer in an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroizing;

use super::skew::Skew;
use super::warnings;
use crate::io::http::Answer;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::request::Signed;
use crate::model::secret::Token;

/// Warnings of one answer that are kept.
pub(super) const MAX_WARNINGS: usize = 20;

/// What `sys/health` said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Active, sealed, …
    pub state: HealthState,
    /// The server's clock against ours, where it told the time.
    pub skew: Option<Skew>,
    /// Its version, sanitised, where it told it.
    pub version: Option<String>,
}

/// The states of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It serves.
    Active,
    /// Sealed: an operator must unseal it.
    Sealed,
    /// It forwards to the active node.
    Standby,
    /// Not initialised.
    Uninitialised,
    /// Something answered, but not as OpenBao does; the text says what.
    Unknown(String),
}

impl Health {
    /// Something answered that is not OpenBao's health.
    pub(super) fn unknown(text: String) -> Self {
        Self { state: HealthState::Unknown(text), skew: None, version: None }
    }
}

#[derive(Deserialize)]
struct HealthBody {
    initialized: bool,
    sealed: bool,
    #[serde(default)]
    standby: bool,
    #[serde(default)]
    server_time_utc: Option<i64>,
    #[serde(default)]
    version: Option<String>,
}

/// Reads `sys/health`: the body decides, as the status codes can be changed by a query ([Health](crate::io::openbao#health)) and by
/// proxies.
pub(super) fn health(server: &str, answer: &Answer, asked: Time, answered: Time) -> Health {
    let body: HealthBody = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(_) => return Health::unknown(format!("{server} answers to sys/health with status {} and no state", answer.status)),
    };
    let state = match &body {
        HealthBody { initialized: false, .. } => HealthState::Uninitialised,
        HealthBody { sealed: true, .. } => HealthState::Sealed,
        HealthBody { standby: true, .. } => HealthState::Standby,
        _ => HealthState::Active,
    };
    // A sealed server tells the time too, but nothing is asked of it.
    let skew = body.server_time_utc.map(|seconds| Skew::of(Time::from_unix(seconds), asked, answered));
    Health { state, skew, version: body.version.map(|version| crate::model::text::one_line(&version, 40)) }
}

#[derive(Deserialize)]
struct LoginBody {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: Option<u64>,
    #[serde(default)]
    metadata: Option<Value>,
}

/// A login that was granted.
#[derive(Debug)]
pub struct LoggedIn {
    /// The token.
    pub token: Token,
    /// How long it lives, where that is said.
    pub lease: Option<Duration>,
    /// The role of the auth method `approle` that granted it, where that is said.
    pub role: Option<String>,
}

/// Reads the answer to a login.
///
/// # Errors
/// What is wrong with it, by place.
pub fn login(body: &[u8]) -> Result<LoggedIn, String> {
    let body: LoginBody = serde_json::from_slice(body).map_err(|why| unreadable(body, &why))?;
    let auth = body.auth.ok_or("no login in it, expected \"auth\"")?;
    let token = Token::new(Zeroizing::new(auth.client_token));
    if !is_carried_by_a_header(token.expose()) {
        return Err("a token that is empty or that no HTTP header can carry".to_owned());
    }
    let role = auth.metadata.as_ref().and_then(|metadata| metadata.get("role_name")?.as_str()).map(str::to_owned);
    Ok(LoggedIn { token, lease: auth.lease_duration.map(Duration::from_secs), role })
}

/// Whether the text can be sent in a header as it is (RFC 9110 §5.5), so that a bad token is found where it comes from.
pub(super) fn is_carried_by_a_header(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Deserialize)]
struct SignBody {
    data: Option<SignData>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct SignData {
    certificate: Option<String>,
    #[serde(default)]
    issuing_ca: Option<String>,
    #[serde(default)]
    ca_chain: Option<Vec<String>>,
    // Skipped over, never copied out of the answer, which is wiped.
    #[serde(default)]
    private_key: Option<IgnoredAny>,
}

/// Reads the answer to `sign`. `secrets` are taken out of what is shown.
///
/// # Errors
/// What is wrong with it, by place.
pub fn signed(body: &[u8], secrets: &[&str]) -> Result<Signed, String> {
    let body: SignBody = serde_json::from_slice(body).map_err(|why| unreadable(body, &why))?;
    let data = body.data.ok_or("no data in it, expected a certificate")?;
    let leaf_pem =
        data.certificate.filter(|pem| pem.contains("-----BEGIN CERTIFICATE-----")).ok_or("no PEM certificate in data.certificate")?;
    let chain = data.ca_chain.filter(|chain| !chain.is_empty());
    let others = chain.unwrap_or_else(|| data.issuing_ca.into_iter().filter(|pem| !pem.is_empty()).collect());
    let mut found = warnings(&body.warnings.unwrap_or_default(), secrets);
    if data.private_key.is_some() {
        let text = "the answer holds a private key although only a CSR was sent; it was thrown away and the server may keep a copy";
        found.push(Warning::new(Code::PrivateKeyInAnswer, text));
    }
    Ok(Signed { leaf_pem, others, warnings: found })
}

#[derive(Deserialize)]
struct Wrapping {
    #[serde(default)]
    data: Option<IgnoredAny>,
    wrap_info: Option<IgnoredAny>,
}

/// Whether a control group holds the answer back: then there is a wrapping token in place of the data.
pub fn awaits_approval(body: &[u8]) -> bool {
    serde_json::from_slice::<Wrapping>(body).is_ok_and(|body| body.data.is_none() && body.wrap_info.is_some())
}

#[derive(Deserialize)]
struct SecretIdBody {
    data: Option<SecretId>,
}

#[derive(Deserialize)]
struct SecretId {
    secret_id: String,
}

/// The secret id in an unwrapped answer.
///
/// # Errors
/// What is wrong with it, by place.
pub fn unwrapped_secret_id(body: &[u8]) -> Result<Token, String> {
    let body: SecretIdBody = serde_json::from_slice(body).map_err(|why| unreadable(body, &why))?;
    let secret_id = body.data.ok_or("no data in it, expected a secret id")?.secret_id;
    Ok(Token::new(Zeroizing::new(secret_id)))
}

/// What a token says of itself, as far as its end goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct TokenLife {
    /// Seconds left; 0 where it never ends.
    #[serde(default)]
    pub ttl: u64,
    /// Seconds that it had when it was made or last renewed.
    #[serde(default)]
    pub creation_ttl: u64,
    /// Seconds that a renewal gives it, without a last one; 0 where it is not periodic.
    #[serde(default)]
    pub period: u64,
    /// Whether it may be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// How often it can still be used after this answer; 0 where that is not counted, below 0 where this was the last time.
    #[serde(default)]
    pub num_uses: i64,
}

impl TokenLife {
    /// How often it can still be used, where that is counted.
    #[must_use]
    pub fn uses_left(self) -> Option<u64> {
        (self.num_uses != 0).then(|| u64::try_from(self.num_uses).unwrap_or_default())
    }

    /// Whether it is to be renewed now: it may be, and half of what a renewal gives is over.
    #[must_use]
    pub const fn wants_renewal(self) -> bool {
        let full = if self.period > 0 { self.period } else { self.creation_ttl };
        self.renewable && self.ttl > 0 && self.ttl < full / 2
    }
}

#[derive(Deserialize)]
struct TokenBody {
    data: Option<TokenLife>,
}

/// Reads what a token says of itself; `None` where the answer does not say it.
pub fn token_life(body: &[u8]) -> Option<TokenLife> {
    serde_json::from_slice::<TokenBody>(body).ok()?.data
}

#[derive(Deserialize)]
struct CapabilitiesBody {
    data: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
struct DataBody {
    data: Option<Value>,
}

/// Reads the answer to `sys/capabilities-self`.
///
/// # Errors
/// What is wrong with it, by place.
pub fn capabilities(body: &[u8]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let body: CapabilitiesBody = serde_json::from_slice(body).map_err(|why| unreadable(body, &why))?;
    body.data.ok_or_else(|| "no data in it, expected paths".to_owned())
}

/// What an answer to a read holds.
///
/// # Errors
/// What is wrong with it, by place.
pub fn data(body: &[u8]) -> Result<Value, String> {
    let body: DataBody = serde_json::from_slice(body).map_err(|why| unreadable(body, &why))?;
    body.data.filter(Value::is_object).ok_or_else(|| "no data in it".to_owned())
}

/// Says what is wrong by place, not by content: the content may be a token or a key.
fn unreadable(body: &[u8], why: &serde_json::Error) -> String {
    let begin = body.trim_ascii_start();
    if begin.is_empty() {
        return "an empty body, expected JSON".to_owned();
    }
    if begin.starts_with(b"<") {
        return "HTML, expected JSON".to_owned();
    }
    let (line, column) = (why.line(), why.column());
    match why.classify() {
        serde_json::error::Category::Eof => format!("JSON that ends early, after {} bytes", body.len()),
        serde_json::error::Category::Data => format!("JSON of another shape than expected, at line {line} column {column}"),
        _ => format!("something that is not JSON, at line {line} column {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----\\n";

    fn sign(json: &str) -> Result<Signed, String> {
        signed(json.replace("PEM", PEM).as_bytes(), &["hvs.secret"])
    }

    #[test]
    fn issuing_ca_stands_in_for_a_chain_that_is_absent_null_or_empty() {
        for chain in ["", r#","ca_chain":null"#, r#","ca_chain":[]"#] {
            let got = sign(&format!(r#"{{"data":{{"certificate":"PEM","issuing_ca":"ca"{chain}}}}}"#)).expect("an answer");
            assert_eq!(got.others, ["ca"], "{chain}");
        }
        let got = sign(r#"{"data":{"certificate":"PEM","issuing_ca":"ca","ca_chain":["a","b"]}}"#).expect("an answer");
        assert_eq!(got.others, ["a", "b"]);
        assert!(sign(r#"{"data":{"certificate":"PEM"}}"#).expect("an answer").others.is_empty());
    }

    #[test]
    fn a_private_key_in_an_answer_is_warned_about_and_not_kept() {
        let got = sign(r#"{"data":{"certificate":"PEM","private_key":"-----BEGIN SECRET"},"warnings":["ttl hvs.secret\u001b[31m"]}"#)
            .expect("an answer");
        assert_eq!(got.warnings.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(), ["openbao", "private-key-in-answer"]);
        assert!(!format!("{got:?}").contains("SECRET"));
        assert_eq!(got.warnings[0].text, "ttl [redacted]\\u{1b}[31m");
        assert!(sign(r#"{"data":{"certificate":"PEM","private_key":null}}"#).expect("an answer").warnings.is_empty());
    }

    #[test]
    fn hostile_answers_are_malformed_and_show_nothing_of_themselves() {
        let deep = format!(r#"{{"data":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let deep_ignored = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for json in [
            "",
            "  \n",
            "null",
            "[]",
            "7",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":{}}"#,
            r#"{"data":[]}"#,
            r#"{"data":{"certificate":null}}"#,
            r#"{"data":{"certificate":7}}"#,
            r#"{"data":{"certificate":""}}"#,
            r#"{"data":{"certificate":"SECRET"}}"#,
            r#"{"data":{"certificate":["PEM"]}}"#,
            r#"{"data":{"certificate":"PEM","certificate":"PEM"}}"#,
            r#"{"data":{"certificate":"PEM"},"data":{"certificate":"PEM"}}"#,
            r#"{"data":{"certificate":"PEM","ca_chain":"PEM"}}"#,
            r#"{"data":{"certificate":"PEM","ca_chain":[7]}}"#,
            r#"{"data":{"certificate":"PEM"},"warnings":"SECRET"}"#,
            r#"{"data":{"certificate":"PEM""#,
            r#"{"data":{"certificate":"PEM"}}{"#,
            "<html><body>SECRET</body></html>",
            "\u{0}\u{1}SECRET",
            &deep,
            &deep_ignored,
        ] {
            let why = sign(json).expect_err(json.get(..json.len().min(60)).unwrap_or("deep"));
            assert!(!why.contains("SECRET") && why.len() < 100, "{why}");
        }
        assert!(signed(b"{\"data\":\xff\xfe}", &[]).is_err());
    }

    #[test]
    fn a_token_is_renewed_when_half_of_it_is_over() {
        let life = |ttl, creation_ttl, period, renewable| TokenLife { ttl, creation_ttl, period, renewable, num_uses: 0 };
        for (life, wants) in [
            (life(3600, 3600, 3600, true), false),
            (life(1800, 3600, 3600, true), false),
            (life(1799, 3600, 3600, true), true),
            (life(1799, 7200, 3600, true), true),
            (life(2500, 7200, 0, true), true),
            (life(1, 3600, 3600, false), false),
            (life(0, 0, 0, true), false),
        ] {
            assert_eq!(life.wants_renewal(), wants, "{life:?}");
        }
        let read = token_life(br#"{"data":{"ttl":5,"creation_ttl":9,"period":null,"renewable":true}}"#);
        assert_eq!(read, None, "what is of another shape says nothing");
        for (num_uses, left) in [(0, None), (3, Some(3)), (-1, Some(0))] {
            assert_eq!(TokenLife { num_uses, ..TokenLife::default() }.uses_left(), left, "{num_uses}");
        }
        assert_eq!(token_life(br#"{"data":{"ttl":5,"creation_ttl":9,"renewable":true,"id":"x"}}"#), Some(life(5, 9, 0, true)));
    }

    #[test]
    fn what_a_control_group_holds_back_is_no_certificate() {
        assert!(awaits_approval(br#"{"data":null,"wrap_info":{"token":"hvs.x","accessor":"a"}}"#));
        assert!(awaits_approval(br#"{"wrap_info":{"token":"hvs.x"}}"#));
        assert!(!awaits_approval(br#"{"data":{"certificate":"x"},"wrap_info":null}"#));
        assert!(!awaits_approval(b"{}") && !awaits_approval(b"<html>"));
    }

    #[test]
    fn a_login_without_a_token_is_none() {
        for json in
            ["{}", r#"{"auth":null}"#, r#"{"auth":{}}"#, r#"{"auth":{"client_token":""}}"#, r#"{"auth":{"client_token":7}}"#, "<html>"]
        {
            assert!(login(json.as_bytes()).is_err(), "{json}");
        }
        let LoggedIn { token, lease, role } =
            login(br#"{"auth":{"client_token":"t","lease_duration":600,"policies":["a"],"metadata":{"role_name":"r"}},"data":null}"#)
                .expect("a login");
        assert_eq!(role.as_deref(), Some("r"));
        assert_eq!((token.expose(), lease), ("t", Some(Duration::from_secs(600))));
    }

    #[test]
    fn health_is_read_from_the_body_and_anything_else_is_unknown() {
        let now = Time::from_unix(1_800_000_000);
        let read = |status, body: &str| {
            health("bao", &Answer { status, retry_after: None, body: Zeroizing::new(body.as_bytes().to_vec()) }, now, now)
        };
        for (status, body, state) in [
            (200, r#"{"initialized":true,"sealed":false,"standby":false}"#, HealthState::Active),
            (429, r#"{"initialized":true,"sealed":false,"standby":true}"#, HealthState::Standby),
            (501, r#"{"initialized":false,"sealed":true,"standby":true}"#, HealthState::Uninitialised),
            (503, r#"{"initialized":true,"sealed":true,"standby":true}"#, HealthState::Sealed),
        ] {
            assert_eq!(read(status, body).state, state, "{status}");
        }
        for (status, body) in [(404, r#"{"errors":[]}"#), (200, "<html>"), (200, ""), (200, r#"{"sealed":"no"}"#), (503, "busy")] {
            assert!(matches!(read(status, body).state, HealthState::Unknown(_)), "{body}");
        }
        let ahead = read(200, r#"{"initialized":true,"sealed":false,"server_time_utc":1800000100,"version":"2.7\n"}"#);
        assert_eq!((ahead.skew, ahead.version.as_deref()), (Some(Skew { ahead: 100 }), Some("2.7")));
    }
}
