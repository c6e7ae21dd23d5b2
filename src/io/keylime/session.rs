//! Logging in at the verifier (API 3.0) by proof of possession: the attestation key certifies itself over the verifier's challenge.

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fault::Fault;
use super::{Api, Document, JSON, challenge, is_path_segment};
use crate::io::http::Verb;
use crate::io::tpm::quoted::Signed;
use crate::model::secret::Token;

/// The longest token that is taken.
const TOKEN: usize = 4096;
const CLASS: &str = "pop";
const TYPE: &str = "tpm_pop";

/// What is to be certified.
#[derive(Debug)]
pub struct Challenge {
    session: String,
    /// The bytes to certify over.
    pub nonce: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct Resource<T> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    attributes: T,
}

#[derive(Debug, Serialize)]
struct Wish<'a> {
    agent_id: &'a str,
    authentication_supported: [Way; 1],
}

#[derive(Debug, Serialize)]
struct Way {
    authentication_class: &'static str,
    authentication_type: &'static str,
}

#[derive(Debug, Serialize)]
struct Proof<'a> {
    agent_id: &'a str,
    authentication_provided: [Provided; 1],
}

#[derive(Debug, Serialize)]
struct Provided {
    authentication_class: &'static str,
    authentication_type: &'static str,
    data: Certified,
}

#[derive(Debug, Serialize)]
struct Certified {
    message: String,
    signature: String,
}

#[derive(Debug, Deserialize)]
struct Answered<T> {
    id: String,
    attributes: T,
}

#[derive(Debug, Deserialize)]
struct Opened {
    agent_id: String,
    authentication_requested: Vec<Requested>,
}

#[derive(Debug, Deserialize)]
struct Requested {
    authentication_class: String,
    authentication_type: String,
    chosen_parameters: Chosen,
}

#[derive(Debug, Deserialize)]
struct Chosen {
    challenge: String,
}

#[derive(Deserialize)]
struct Judged {
    agent_id: String,
    evaluation: String,
    #[serde(default)]
    token: Option<String>,
}

impl Api {
    /// Asks for a session. A verifier gives one to every id, also to those that it does not know.
    ///
    /// # Errors
    /// There is no answer to go on with, or it is another agent's.
    pub async fn open_session(&self, agent_id: &str) -> Result<Challenge, Fault> {
        let way = Way { authentication_class: CLASS, authentication_type: TYPE };
        let wish = Wish { agent_id, authentication_supported: [way] };
        let body = Self::body(JSON, &Document { data: Resource { r#type: "session", id: None, attributes: wish } })?;
        let called = self.call(Verb::Post, "v3.0/sessions", None, Some(body)).await?;
        let Document { data } = self.parsed::<Document<Answered<Opened>>>(&called, "open a session", &[200, 201], &[])?;
        self.same_agent(agent_id, &data.attributes.agent_id)?;
        let malformed = |what: &str| Fault::Malformed(format!("{} opens a session with {what}", self.server()));
        let [wanted] = data.attributes.authentication_requested.as_slice() else {
            return Err(malformed("another number of proofs than one"));
        };
        if wanted.authentication_class != CLASS || wanted.authentication_type != TYPE {
            return Err(malformed("a proof that was not offered"));
        }
        let nonce = challenge(&wanted.chosen_parameters.challenge).ok_or_else(|| malformed("a challenge that is not 16 bytes"))?;
        if !is_path_segment(&data.id) {
            return Err(malformed("an id that is none"));
        }
        Ok(Challenge { session: data.id, nonce })
    }

    /// Proves that this host holds the attestation key. The token counts for this agent alone; a new one ends the one before.
    ///
    /// # Errors
    /// The verifier does not know the agent, or by another key, or there is no answer to go on with.
    pub async fn prove(&self, agent_id: &str, challenge: &Challenge, certified: &Signed) -> Result<Token, Fault> {
        let data = Certified { message: Base64::encode_string(&certified.message), signature: Base64::encode_string(&certified.signature) };
        let provided = Provided { authentication_class: CLASS, authentication_type: TYPE, data };
        let id = challenge.session.clone();
        let attributes = Proof { agent_id, authentication_provided: [provided] };
        let body = Self::body(JSON, &Document { data: Resource { r#type: "session", id: Some(id), attributes } })?;
        let called = self.call(Verb::Patch, &format!("v3.0/sessions/{}", challenge.session), None, Some(body)).await?;
        let Document { data } = self.parsed::<Document<Answered<Judged>>>(&called, "prove the attestation key", &[200, 401], &[])?;
        let Judged { agent_id: named, evaluation, token } = data.attributes;
        let token = token.map(Zeroizing::new);
        self.same_agent(agent_id, &named)?;
        let malformed = |what: &str| Fault::Malformed(format!("{} ends a login with {what}", self.server()));
        if data.id != challenge.session {
            return Err(malformed("another session than it began"));
        }
        match (called.answer.status, evaluation.as_str(), token) {
            (200, "pass", Some(token)) if is_token(&token) => Ok(Token::new(token)),
            (200, "fail", _) => Err(Fault::Unknown(format!("{} does not know the agent {agent_id}", self.server()))),
            (401, "fail", _) => Err(Fault::Mismatch(format!("{} knows another attestation key under the id {agent_id}", self.server()))),
            _ => Err(malformed("neither a token nor a refusal")),
        }
    }

    pub(super) fn same_agent(&self, ours: &str, named: &str) -> Result<(), Fault> {
        if ours == named {
            return Ok(());
        }
        let named = crate::model::text::one_line(named, 80);
        Err(Fault::Mismatch(format!("{} answers for the agent {named}, asked was for {ours}", self.server())))
    }
}

fn is_token(token: &str) -> bool {
    (1..=TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
