//! A login that was granted, for the time of a run. It must never be written anywhere.

use std::time::Duration;

use crate::model::clock::Time;
use crate::model::login_end::Lasts;
use crate::model::secret::Token;

/// A secret id, and the path to ask about it, where that is known.
pub(super) struct SecretIdAt<'a> {
    pub(super) secret_id: &'a Token,
    pub(super) path: Option<String>,
}

/// A token, and the secrets that led to it: a server has seen them and may repeat them in any later text.
#[derive(Debug)]
pub struct Grant {
    token: Token,
    lease: Option<Duration>,
    term: Term,
    presented: Vec<Token>,
    /// The role of `approle` that granted it, where the server said so.
    role: Option<Role>,
    /// How often somebody else's token can still be used, where that is counted.
    uses_left: Option<u64>,
}

/// How long a login goes on, as far as the login itself told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    /// A token of ours: it is made anew for each run.
    Run,
    /// The same, by a secret id that later runs need again: the last of what was presented.
    SecretId,
    /// Somebody else's token, of which nothing is known.
    Given,
    /// Somebody else's token without an end.
    Endless,
    /// Somebody else's token that is renewed while it is used.
    Renews,
}

/// A role of the auth method `approle`.
#[derive(Debug)]
struct Role {
    mount: String,
    name: String,
}

impl Grant {
    /// A token we logged in for.
    pub(super) const fn ours(token: Token, lease: Option<Duration>, presented: Vec<Token>) -> Self {
        Self { token, lease, term: Term::Run, presented, role: None, uses_left: None }
    }

    /// A token that somebody else made.
    pub(super) const fn given(token: Token) -> Self {
        Self { token, lease: None, term: Term::Given, presented: Vec::new(), role: None, uses_left: None }
    }

    /// The same with how long it lives.
    pub(super) fn with_lease(self, lease: Option<Duration>) -> Self {
        Self { lease, ..self }
    }

    /// The same of somebody else's token that is renewed while it is used, or not.
    pub(super) fn that_renews(self, renews: bool) -> Self {
        Self { term: if renews { Term::Renews } else { Term::Given }, ..self }
    }

    /// The same of somebody else's token that has no end.
    pub(super) fn that_does_not_end(self) -> Self {
        Self { term: Term::Endless, ..self }
    }

    /// The same of somebody else's token whose uses are counted.
    pub(super) fn with_uses_left(self, uses_left: Option<u64>) -> Self {
        Self { uses_left, ..self }
    }

    /// How often somebody else's token can still be used, where that is counted: every question takes one.
    #[must_use]
    pub const fn uses_left(&self) -> Option<u64> {
        self.uses_left
    }

    /// The same of a role of `approle`, by the server's word. A name that is none is not used.
    pub(super) fn of_role(self, mount: &str, name: Option<String>) -> Self {
        let is_name = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        Self { role: name.filter(is_name).map(|name| Role { mount: mount.to_owned(), name }), ..self }
    }

    /// The same, granted by a secret id that is used again.
    pub(super) fn with_lasting_secret_id(self) -> Self {
        Self { term: Term::SecretId, ..self }
    }

    /// The secret id that is used again, and where it can be asked for.
    pub(super) fn secret_id(&self) -> Option<SecretIdAt<'_>> {
        let secret_id = self.presented.last().filter(|_| self.term == Term::SecretId)?;
        let path = self.role.as_ref().map(|Role { mount, name }| format!("auth/{mount}/role/{name}/secret-id/lookup"));
        Some(SecretIdAt { secret_id, path })
    }

    /// How long it goes on by itself: somebody else's token may say how long it lives, one of ours is made anew for each run.
    pub(super) fn lasts(&self, now: Time) -> Lasts {
        let until = |lease: Duration| {
            let expires = now.plus(i64::try_from(lease.as_secs()).unwrap_or(i64::MAX / 2));
            Lasts::Until { expires, renews: self.term == Term::Renews, uses_left: self.uses_left }
        };
        match self.term {
            Term::Run | Term::SecretId => Lasts::Run,
            Term::Endless if self.uses_left.is_some() => Lasts::Until { expires: Time::last(), renews: false, uses_left: self.uses_left },
            Term::Endless => Lasts::Endless,
            Term::Given | Term::Renews => self.lease.map_or_else(|| Lasts::Unknown(SILENT.to_owned()), until),
        }
    }

    /// The token.
    pub(super) const fn token(&self) -> &Token {
        &self.token
    }

    /// What must not be seen in any text of the server.
    pub(super) fn secrets(&self) -> Vec<&str> {
        std::iter::once(&self.token).chain(&self.presented).map(Token::expose).collect()
    }

    /// How long the token lives, if the login said so.
    #[must_use]
    pub const fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// Whether we made the token, so that it is ours to revoke.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.term, Term::Run | Term::SecretId)
    }
}

/// Why nothing is known of a token.
const SILENT: &str = "the token may not look at itself: its policy lacks `read` on auth/token/lookup-self";
