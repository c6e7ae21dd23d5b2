//! How long a login goes on: a token by its own answer, a secret id by a lookup that the login needs a right for
//! ([Logging in](crate::io::openbao#logging-in)). It must never cost a renewal, nor call anything known that nobody said.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::grant::SecretIdAt;
use super::{Grant, Server, answer, is_success, json};
use crate::model::clock::Time;
use crate::model::login_end::Lasts;

/// For both questions together: nothing waits for them but the end of a run.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Lookup<'a> {
    secret_id: &'a str,
}

/// How long the login goes on that granted this.
pub(super) async fn of(server: &Server, grant: &Grant) -> Lasts {
    let Some(SecretIdAt { secret_id, path }) = grant.secret_id() else { return grant.lasts(server.clock.now()) };
    let Some(path) = path else {
        return Lasts::Unknown("the answer to the login does not name its role".to_owned());
    };
    let asked = tokio::time::timeout(LIMIT, asked(server, grant, secret_id.expose(), &path)).await;
    asked.unwrap_or_else(|_| Lasts::Unknown(format!("{} did not answer to {path} in time", server.name())))
}

/// A path that is denied leaves a trace that looks like an attack, so what may be asked is asked first.
async fn asked(server: &Server, grant: &Grant, secret_id: &str, path: &str) -> Lasts {
    let may = server.capabilities_self(grant, &[path.to_owned()]).await;
    let may = may.ok().and_then(|mut allowed| allowed.remove(path)).unwrap_or_default();
    if !may.iter().any(|one| one == "update" || one == "root") {
        return Lasts::Unknown(format!("the login may not ask: its policy lacks `update` on {path}"));
    }
    let Ok(body) = json(&Lookup { secret_id }) else { return Lasts::Unknown("the question could not be written".to_owned()) };
    match server.ask(path, grant, Some(body)).await {
        // Of one that is used up there is nothing left, and it has just been used.
        Ok(answer) if matches!(answer.status, 204 | 404) => Lasts::Until { expires: server.clock.now(), renews: false, uses_left: Some(0) },
        Ok(answer) if is_success(&answer) => match secret_id_life(&answer.body) {
            Ok(life) => lasts(life),
            Err(why) => Lasts::Unknown(format!("{} answers to {path} with {why}", server.name())),
        },
        Ok(answer) => Lasts::Unknown(format!("{} answers to {path} with status {}", server.name(), answer.status)),
        Err(problem) => Lasts::Unknown(problem.failure.text),
    }
}

/// What OpenBao says of a secret id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SecretIdLife {
    /// When it ends; `None`: never.
    expires: Option<Time>,
    /// How often it can still be used; `None`: that is not counted.
    uses_left: Option<u64>,
}

/// Reads the answer to the lookup of a secret id (`expiration_time`, `secret_id_num_uses`).
///
/// # Errors
/// What is wrong with it, by place.
fn secret_id_life(body: &[u8]) -> Result<SecretIdLife, String> {
    let data = answer::data(body)?;
    let time = data.get("expiration_time").and_then(Value::as_str).ok_or("no expiration_time in it")?;
    // One that never ends has the zero of Go's time: the year 1.
    let expires = Time::parse(time).ok_or("an expiration_time that is no time")?;
    let uses_left = data.get("secret_id_num_uses").and_then(Value::as_u64).filter(|uses| *uses > 0);
    Ok(SecretIdLife { expires: Some(expires).filter(|expires| expires.unix() > 0), uses_left })
}

fn lasts(life: SecretIdLife) -> Lasts {
    match (life.expires, life.uses_left) {
        (None, None) => Lasts::Endless,
        (expires, uses_left) => Lasts::Until { expires: expires.unwrap_or_else(Time::last), renews: false, uses_left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_id_says_of_itself_is_its_end() {
        let life = |time: &str, uses: u64| {
            let body = format!(r#"{{"data":{{"expiration_time":"{time}","secret_id_num_uses":{uses},"secret_id_ttl":1}}}}"#);
            secret_id_life(body.as_bytes()).map(lasts)
        };
        let until = |expires, uses_left| Ok(Lasts::Until { expires, renews: false, uses_left });
        let end = Time::parse("2026-11-30T19:35:00Z").expect("a time");
        assert_eq!(life("2026-11-30T19:35:00.123456789Z", 0), until(end.plus(0), None));
        assert_eq!(life("2026-11-30T19:35:00Z", 3), until(end, Some(3)));
        assert_eq!(life("0001-01-01T00:00:00Z", 0), Ok(Lasts::Endless));
        assert_eq!(life("0001-01-01T00:00:00Z", 2), until(Time::last(), Some(2)));
        assert!(life("soon", 0).is_err() && secret_id_life(b"{}").is_err());
    }
}
