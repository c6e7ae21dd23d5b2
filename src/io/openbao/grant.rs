//! A login that was granted, for the time of a run. It must never be written anywhere.

use std::time::Duration;

use crate::model::clock::Time;
use crate::model::login_end::LoginEnd;
use crate::model::secret::Token;

/// A token, and the secrets that led to it: a server has seen them and may repeat them in any later text.
#[derive(Debug)]
pub struct Grant {
    token: Token,
    lease: Option<Duration>,
    ours: bool,
    /// Whether it is renewed while it is used.
    renews: bool,
    presented: Vec<Token>,
}

impl Grant {
    /// A token we logged in for.
    pub(super) const fn ours(token: Token, lease: Option<Duration>, presented: Vec<Token>) -> Self {
        Self { token, lease, ours: true, renews: false, presented }
    }

    /// A token that somebody else made.
    pub(super) const fn given(token: Token) -> Self {
        Self { token, lease: None, ours: false, renews: false, presented: Vec::new() }
    }

    /// The same with how long it lives.
    pub(super) fn with_lease(self, lease: Option<Duration>) -> Self {
        Self { lease, ..self }
    }

    /// The same of a token that is renewed while it is used, or not.
    pub(super) fn that_renews(self, renews: bool) -> Self {
        Self { renews, ..self }
    }

    /// Its end as that of a login by this auth method, where it is somebody else's token and says how long it lives: one of ours is made anew
    /// for each run.
    pub(super) fn end(&self, method: &str, now: Time) -> Option<LoginEnd> {
        let lease = self.lease.filter(|_| !self.ours)?;
        let expires = now.plus(i64::try_from(lease.as_secs()).unwrap_or(i64::MAX / 2));
        Some(LoginEnd { method: method.to_owned(), expires, renews: self.renews })
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
        self.ours
    }
}
