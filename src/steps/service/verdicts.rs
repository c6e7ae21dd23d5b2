//! What a Keylime verifier says of its agents to an administrator, as far as drivers of Keylime need it: whether an attestation is newer than a
//! restart. It is no attestation gate: what a verdict is worth is judged elsewhere.

use futures_util::StreamExt as _;
use serde_json::Value;

use super::served::{Admin, Spot};
use crate::config::service::Eyes;
use crate::io::http::{Client, Request};
use crate::model::text;

/// The version of the API in which verdicts are read (verifiers from 7.12 on).
const API: &str = "v2.6";
/// Agents that are asked about at a time.
const AT_A_TIME: usize = 8;
/// How old an attestation may be in any case, and where the verifier does not say, in seconds: an agent that a busy machine made late by some
/// seconds is still one whose silence would go unseen after the restart.
const INTERVAL: i64 = 60;
/// What of an answer is repeated.
const WORDS: usize = 160;

/// A verifier.
pub(super) struct Verifier {
    client: Client,
}

/// What is known of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// PASS, FAIL, TIMEOUT, PENDING.
    pub(super) status: String,
    /// When an attestation of it last succeeded, by the verifier's clock; 0: never.
    pub(super) last: i64,
    /// How far apart two of them may lie, in seconds.
    interval: i64,
}

impl Verdict {
    fn of(answer: &Value) -> Option<Self> {
        let results = answer.get("results")?;
        let interval =
            results.get("maximum_attestation_interval").and_then(Value::as_str).and_then(|text| text.trim_end_matches('s').parse().ok());
        Some(Self {
            status: results.get("attestation_status")?.as_str()?.to_owned(),
            last: results.get("last_successful_attestation").and_then(Value::as_i64).unwrap_or_default(),
            interval: interval.unwrap_or(INTERVAL).max(INTERVAL),
        })
    }

    /// Whether it has passed, and goes on to be looked at.
    fn is_fresh(&self, now: i64) -> bool {
        self.status == "PASS" && self.last > 0 && now - self.last <= self.interval
    }

    /// Whether it has passed by an attestation that is not older than this.
    pub(super) fn is_new(&self, since: i64) -> bool {
        self.status == "PASS" && self.last >= since
    }
}

impl Verifier {
    /// The verifier at this place, asked by an administrator.
    ///
    /// # Errors
    /// Why it cannot be asked, in words.
    pub(super) async fn at(spot: &Spot, admin: &Admin, eyes: &Eyes) -> Result<Self, String> {
        Ok(Self { client: spot.client(eyes, Some(&admin.identity(eyes)?)).await? })
    }

    /// The verifier at this URL (`https://HOST:PORT`).
    ///
    /// # Errors
    /// Why it cannot be asked, in words.
    pub(super) fn at_url(url: &str, admin: &Admin, eyes: &Eyes) -> Result<Self, String> {
        let client = Client::new(url, &eyes.roots, Some(&admin.identity(eyes)?), eyes.clock);
        Ok(Self { client: client.map_err(|why| why.to_string())? })
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.client.send(Request { path, token: None, namespace: None, json: None }).await.map_err(|why| why.to_string())?;
        let said = || text::one_line(&String::from_utf8_lossy(&answer.body), WORDS);
        if answer.status != 200 {
            return Err(format!("{} answers GET /{path} with {}: {}", self.client.server(), answer.status, said()));
        }
        serde_json::from_slice(&answer.body).map_err(|_| format!("{} answers GET /{path} with no JSON: {}", self.client.server(), said()))
    }

    /// What is known of one agent.
    ///
    /// # Errors
    /// No answer, or one that is none, in words.
    pub(super) async fn verdict(&self, agent: &str) -> Result<Verdict, String> {
        let answer = self.get(&format!("{API}/agents/{agent}")).await?;
        Verdict::of(&answer).ok_or_else(|| format!("{} does not say how {} attests", self.client.server(), text::one_line(agent, WORDS)))
    }

    /// The agents that are fresh now.
    ///
    /// # Errors
    /// As [`Verifier::verdict`].
    pub(super) async fn fresh(&self, now: i64) -> Result<Vec<String>, String> {
        let answer = self.get(&format!("{API}/agents/")).await?;
        let ids = ids(&answer);
        let verdicts = futures_util::stream::iter(ids).map(|id| async move { (self.verdict(&id).await, id) }).buffer_unordered(AT_A_TIME);
        let mut fresh: Vec<String> = verdicts
            .filter_map(|(verdict, id)| async move { verdict.is_ok_and(|verdict| verdict.is_fresh(now)).then_some(id) })
            .collect()
            .await;
        fresh.sort();
        Ok(fresh)
    }

    /// Those of these agents that have not passed since.
    pub(super) async fn silent(&self, agents: &[String], since: i64) -> Vec<String> {
        let verdicts =
            futures_util::stream::iter(agents.to_vec()).map(|id| async move { (self.verdict(&id).await, id) }).buffered(AT_A_TIME);
        verdicts
            .filter_map(|(verdict, id)| async move { (!verdict.is_ok_and(|verdict| verdict.is_new(since))).then_some(id) })
            .collect()
            .await
    }
}

/// Identifiers of a list, which may be a list of lists. What could not stand in a path is left out.
fn ids(answer: &Value) -> Vec<String> {
    let list = answer.pointer("/results/uuids").and_then(Value::as_array);
    let flat = list.into_iter().flatten().flat_map(|one| one.as_array().cloned().unwrap_or_else(|| vec![one.clone()]));
    let is_id = |id: &String| !id.is_empty() && id.len() <= 80 && id.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    flat.filter_map(|id| id.as_str().map(ToOwned::to_owned)).filter(is_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attestation_is_new_that_is_not_older_than_the_restart() {
        let of = |status: &str, last: i64| {
            Verdict::of(&json!({ "results": { "attestation_status": status, "last_successful_attestation": last, "maximum_attestation_interval": "5s" } }))
                .unwrap()
        };
        // Status, last success, whether it is fresh at 100 and new since 100.
        for (status, last, fresh, new) in [
            ("PASS", 100, true, true),
            ("PASS", 40, true, false),
            ("PASS", 39, false, false),
            ("PASS", 0, false, false),
            ("FAIL", 100, false, false),
        ] {
            let verdict = of(status, last);
            assert_eq!((verdict.is_fresh(100), verdict.is_new(100)), (fresh, new), "{verdict:?}");
        }
        assert_eq!(Verdict::of(&json!({ "results": {} })), None);
    }

    #[test]
    fn agents_come_as_a_list_or_as_a_list_of_lists() {
        assert_eq!(ids(&json!({ "results": { "uuids": [["a"], ["b"]] } })), ["a", "b"]);
        assert_eq!(ids(&json!({ "results": { "uuids": ["a", "../x", ""] } })), ["a"]);
        assert!(ids(&json!({})).is_empty());
    }
}
