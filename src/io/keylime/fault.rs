//! Why a Keylime server gave nothing to go on with, and what that means for a verdict. It must never be a pass.

use std::time::Duration;

use serde::Deserialize;

use crate::io::http::{Called, HttpError};
use crate::model::clock::Time;
use crate::model::text;
use crate::model::verdict::{Conclusion, Verdict};

/// Longest text of a certificate check that is kept.
const WORDS: usize = 200;

/// What went wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The attestation was dropped or is of the past: another one may be begun.
    Again(String),
    /// The policy for this agent asks for nothing.
    EmptyPolicy,
    /// The token counts no more.
    LogIn(String),
    /// It wants to be asked later.
    Later {
        /// `Retry-After` in seconds; `None` where there is none that can be read.
        wait: Option<Duration>,
        /// Who said what.
        text: String,
    },
    /// The answer is none of the protocol.
    Malformed(String),
    /// It knows another endorsement or attestation key under this name.
    Mismatch(String),
    /// The agent is not enrolled.
    Unknown(String),
    /// No answer.
    Unreachable(String),
    /// TLS failed.
    Untrusted(String),
}

/// The errors of both APIs of a verifier and of a registrar.
#[derive(Debug, Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
    /// Of the older envelope.
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct OneError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    source: Option<Source>,
}

#[derive(Debug, Deserialize)]
struct Source {
    #[serde(default)]
    pointer: Option<String>,
}

impl Fault {
    /// The fault of a call without an answer.
    pub(super) fn lost(why: &HttpError) -> Self {
        match why {
            HttpError::Untrusted(distrust) => Self::Untrusted(format!("{why}: {}", text::one_line(&distrust.why.to_string(), WORDS))),
            HttpError::Tls(text) => Self::Untrusted(text.clone()),
            HttpError::Unreachable { text, .. } => Self::Unreachable(text.clone()),
            HttpError::Invalid(_) | HttpError::Malformed(_) | HttpError::Redirected { .. } => Self::Malformed(why.to_string()),
        }
    }

    /// The fault of an answer that is no success; `what` was asked of `server`. Nothing in `secrets` is repeated.
    pub(super) fn refused(server: &str, what: &str, called: &Called, secrets: &[&str]) -> Self {
        let body: Errors = serde_json::from_slice(&called.answer.body).unwrap_or_default();
        let error = body.errors.into_iter().next().unwrap_or_default();
        let detail = error.detail.or(error.title).or(body.status).unwrap_or_default();
        let pointer = error.source.and_then(|source| source.pointer).map_or(String::new(), |pointer| format!(" ({pointer})"));
        let said = text::of_server(&format!("{detail}{pointer}"), secrets);
        let status = called.answer.status;
        let said = if said.is_empty() { format!("status {status}, without a reason") } else { format!("status {status}: {said}") };
        let text = format!("{server} refuses to {what}: {said}");
        match (status, error.code.as_deref()) {
            (401, _) | (403, None) => Self::LogIn(text),
            (403, Some("challenges_expired")) if detail.contains("at None") => Self::EmptyPolicy,
            (403, Some("evidence_immutable" | "old_attestation" | "challenges_expired")) | (409, _) => Self::Again(text),
            (404, _) => Self::Unknown(text),
            (429 | 503, _) => Self::Later { wait: seconds(called.answer.retry_after.as_deref()), text },
            (502 | 504, _) => Self::Unreachable(text),
            _ => Self::Malformed(text),
        }
    }

    /// What it means for this host.
    #[must_use]
    pub fn verdict(&self, now: Time) -> Verdict {
        let verdict = |conclusion, text: &str, hint: &str| Verdict::new(conclusion, now, text).hint(hint);
        match self {
            Self::EmptyPolicy => verdict(
                Conclusion::EmptyPolicy,
                "the verifier's policy for this agent asks for no evidence",
                "an administrator gives this agent a policy: `omens attest --print-policy` prints one of now",
            ),
            Self::Mismatch(text) => verdict(
                Conclusion::IdentityMismatch,
                text,
                "find out which host is registered under this id; if this one is right, an administrator deletes the record at registrar and \
                 verifier (keylime_tenant -c regdelete, -c delete) and enrols this agent with what `omens attest --print-policy` prints",
            ),
            Self::Unknown(text) => verdict(
                Conclusion::UnknownAgent,
                text,
                "an administrator enrols this agent with the command that `omens attest --print-policy` prints",
            ),
            Self::Untrusted(text) => verdict(
                Conclusion::Untrusted,
                text,
                "the server's certificate must hold its name in the settings and lead to `ca` of attestation.by (default: trust.anchor)",
            ),
            Self::Unreachable(text) | Self::Later { text, .. } | Self::Again(text) => {
                verdict(Conclusion::Unreachable, text, "see whether Keylime runs there; a certificate that is in use keeps serving")
            }
            Self::LogIn(text) | Self::Malformed(text) => {
                verdict(Conclusion::Malformed, text, "see whether the address is that of Keylime 7.14 in push mode, and its log")
            }
        }
    }
}

fn seconds(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::io::http::Answer;
    use zeroize::Zeroizing;

    fn called(status: u16, body: &str, retry_after: Option<&str>) -> Called {
        let answer = Answer { status, retry_after: retry_after.map(str::to_owned), body: Zeroizing::new(body.as_bytes().to_vec()) };
        Called { answer, date: None, location: None }
    }

    #[test]
    fn each_refusal_has_its_meaning_and_none_is_a_pass() {
        let code = |code: &str, detail: &str| format!(r#"{{"errors":[{{"status":"403","code":"{code}","detail":"{detail}"}}]}}"#);
        let authorisation = r#"{"errors":[{"status":"403","title":"Forbidden","detail":"requires agent authentication"}]}"#;
        for (status, body, after, expected, word) in [
            (401, "", None, "LogIn", "malformed"),
            (403, authorisation, None, "LogIn", "malformed"),
            (403, &code("challenges_expired", "expired at None."), None, "EmptyPolicy", "empty-policy"),
            (403, &code("challenges_expired", "expired at 12:00"), None, "Again", "unreachable"),
            (403, &code("evidence_immutable", ""), None, "Again", "unreachable"),
            (403, &code("agent_attestations_disabled", ""), None, "Malformed", "malformed"),
            (404, "", None, "Unknown", "unknown-agent"),
            (409, &code("conflict", ""), None, "Again", "unreachable"),
            (422, &code("invalid_resource_data", ""), None, "Malformed", "malformed"),
            (429, "", Some("3"), "Later", "unreachable"),
            (503, "<html>", Some("tomorrow"), "Later", "unreachable"),
            (502, "<html>", None, "Unreachable", "unreachable"),
            (500, "", None, "Malformed", "malformed"),
            (200, "{}", None, "Malformed", "malformed"),
        ] {
            let fault = Fault::refused("keylime:8881", "negotiate", &called(status, body, after), &[]);
            assert!(format!("{fault:?}").starts_with(expected), "{status} {body}: {fault:?}");
            let verdict = fault.verdict(Time::from_unix(0));
            assert_eq!(verdict.conclusion.word(), word, "{fault:?}");
            assert!(verdict.hint.is_some());
        }
        let later = Fault::refused("k", "x", &called(429, "", Some("3")), &[]);
        assert!(matches!(later, Fault::Later { wait: Some(wait), .. } if wait == Duration::from_secs(3)), "{later:?}");
    }

    #[test]
    fn a_token_is_not_repeated_and_a_reason_is() {
        let body = r#"{"errors":[{"code":"x","detail":"bad token T.secret","source":{"pointer":"/data/a"}}]}"#;
        let Fault::Malformed(text) = Fault::refused("k", "negotiate", &called(422, body, None), &["T.secret"]) else { panic!("malformed") };
        assert_eq!(text, "k refuses to negotiate: status 422: bad token [redacted] (/data/a)");
    }
}
