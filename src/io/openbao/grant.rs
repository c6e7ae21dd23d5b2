//! A login that was granted, for the time of a run. It must never be written anywhere.

use std::time::Duration;

use crate::model::secret::Token;

/// A token, and the secrets that led to it: a server has seen them and may repeat them in any later text.
#[derive(Debug)]
pub struct Grant {
    token: Token,
    lease: Option<Duration>,
    ours: bool,
    presented: Vec<Token>,
}

impl Grant {
    /// A token we logged in for.
    pub(super) const fn ours(token: Token, lease: Option<Duration>, presented: Vec<Token>) -> Self {
        Self { token, lease, ours: true, presented }
    }

    /// A token that somebody else made.
    pub(super) const fn given(token: Token) -> Self {
        Self { token, lease: None, ours: false, presented: Vec::new() }
    }

    /// The same with how long it lives.
    pub(super) fn with_lease(self, lease: Option<Duration>) -> Self {
        Self { lease, ..self }
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
