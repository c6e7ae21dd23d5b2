//! Logging in by the auth methods of the settings, in their order: the one loop of all who log in at OpenBao.

use super::means::Means;
use super::{Grant, Problem, Server, auth, lasting, with_one_more_try};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::login_end::Lasts;
use crate::model::openbao::AuthMethod;

/// How far the auth methods of the settings are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until one grants a token, or the server itself cannot: the next method would meet the same.
    Granted,
    /// All of them, whatever comes of each, but those that a login uses up: those are looked at.
    AllTried,
}

/// A token, and the auth method that granted it.
#[derive(Debug)]
pub struct Granted {
    /// Which of those of the settings, from 0.
    pub entry: usize,
    /// The word of the auth method.
    pub method: &'static str,
    /// Whether that is granted by evidence.
    pub is_evidence: bool,
    /// The token.
    pub grant: Grant,
}

impl Granted {
    /// How long this login goes on, which is asked of the server where the token does not say it.
    pub async fn lasts(&self, server: &Server) -> Lasts {
        lasting::of(server, &self.grant).await
    }
}

/// What came of trying.
#[derive(Debug)]
pub struct Tried {
    /// Those that granted a token, in the order of the settings.
    pub granted: Vec<Granted>,
    /// Why the others did not.
    pub refused: Vec<Refused>,
    /// Those that a login would have used up, and which the server knows.
    pub untried: Vec<Untried>,
}

/// An auth method that was not tried, since that uses it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untried {
    /// The word of the auth method.
    pub method: &'static str,
    /// When its wrapping token ends, where that is said.
    pub ends: Option<Time>,
}

/// An auth method that granted no token.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Which of those of the settings, from 0.
    pub entry: usize,
    /// Why; its text begins with the method.
    pub failure: Failure,
}

/// Tries the auth methods in order.
pub(super) async fn log_in(server: &Server, methods: &[AuthMethod], means: &Means, until: Until) -> Tried {
    let mut tried = Tried { granted: Vec::new(), refused: Vec::new(), untried: Vec::new() };
    for (entry, method) in methods.iter().enumerate() {
        if until == Until::AllTried && method.is_used_up_by_a_login() {
            match looked_at(server, method, means).await {
                Ok(ends) => tried.untried.push(Untried { method: method.word(), ends }),
                Err(failure) => tried.refused.push(Refused { entry, failure }),
            }
            continue;
        }
        let ends = match by(server, method, means).await {
            Ok(grant) => {
                tried.granted.push(Granted { entry, method: method.word(), is_evidence: method.is_evidence(), grant });
                true
            }
            Err(failure) => {
                let ends = is_the_servers_matter(failure.code);
                tried.refused.push(Refused { entry, failure });
                ends
            }
        };
        if ends && until == Until::Granted {
            break;
        }
    }
    tried
}

/// Logs in by one method alone, with these means.
pub(super) async fn log_in_by(server: &Server, method: &AuthMethod, means: &Means) -> Result<Grant, Failure> {
    by(server, method, means).await
}

/// Logs in by one method, with one more try where that can help.
async fn by(server: &Server, method: &AuthMethod, means: &Means) -> Result<Grant, Failure> {
    with_one_more_try(|| auth::log_in(server, method, means)).await.map_err(|problem| of_method(problem, method))
}

/// Asks about what a login by this method would use up, with one more try where that can help.
async fn looked_at(server: &Server, method: &AuthMethod, means: &Means) -> Result<Option<Time>, Failure> {
    with_one_more_try(|| auth::looked_at(server, method, means)).await.map_err(|problem| of_method(problem, method))
}

fn of_method(Problem { failure, .. }: Problem, method: &AuthMethod) -> Failure {
    let hint = failure.hint.clone().map(|hint| with_source(hint, method, failure.code));
    Failure { text: format!("login by {}: {}", method.word(), failure.text), hint, ..failure }
}

/// What to do about a refused login, with the files that this one reads and the role that it names.
fn with_source(hint: String, method: &AuthMethod, code: Code) -> String {
    let reads = match method {
        AuthMethod::AppRole(login) => format!("role_id {} and secret_id {}", login.role_id, login.secret_id),
        AuthMethod::Cert(login) => format!("cert {} and key {} for the role {}", login.cert.display(), login.key, login.role),
        AuthMethod::Jwt(login) => format!("jwt {} for the role {}", login.jwt, login.role),
        AuthMethod::Token(login) => format!("token {}", login.token),
        AuthMethod::JwtSvid(_) | AuthMethod::TpmIdentity(_) | AuthMethod::Once(_) => return hint,
    };
    if code == Code::LoginRefused { format!("{hint}; it logs in with {reads}") } else { hint }
}

/// Failures that every auth method would meet, and every request.
#[must_use]
pub const fn is_the_servers_matter(code: Code) -> bool {
    matches!(code, Code::Unreachable | Code::TlsUntrusted | Code::ServerSealed)
}

/// Why no auth method granted a token, in the order in which they were tried.
#[derive(Clone, Debug)]
pub struct Refusals(pub(super) Vec<Failure>);

impl Refusals {
    /// These, in the order in which they were met.
    #[must_use]
    pub const fn of(failures: Vec<Failure>) -> Self {
        Self(failures)
    }

    /// All of it in one failure. What is the server's matter stands alone. Where no login was refused as such (a quota, an error of the
    /// server), the first one's code stays.
    #[must_use]
    pub fn together(&self) -> Failure {
        if let Some(last) = self.0.last().filter(|last| is_the_servers_matter(last.code)) {
            return last.clone();
        }
        let Some(first) = self.0.first() else { return none_set() };
        let telling = self.0.iter().find(|failure| failure.code == Code::LoginRefused).unwrap_or(first);
        let text = self.0.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ");
        Failure { text, ..telling.clone() }
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Failure {
        self.0.last().cloned().unwrap_or_else(none_set)
    }
}

/// The settings name at least one, and say so where they do not.
fn none_set() -> Failure {
    Failure::new(Stage::Issue, Code::LoginRefused, "the settings name no login").hint("set openbao.login")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refused_logins_are_told_and_the_code_is_the_telling_one() {
        for (codes, expected) in [
            (vec![], "login-refused"),
            (vec!["login-refused", "login-refused"], "login-refused"),
            (vec!["rate-limited", "login-refused"], "login-refused"),
            (vec!["rate-limited", "server-error"], "rate-limited"),
            (vec!["answer-malformed"], "answer-malformed"),
        ] {
            let refused = |(n, code): (usize, &&str)| Failure::new(Stage::Issue, Code::parse(code), format!("login {n}"));
            let failures: Vec<Failure> = codes.iter().enumerate().map(refused).collect();
            let all = Refusals(failures.clone()).together();
            assert_eq!(all.code, expected, "{codes:?}");
            assert!(failures.iter().all(|failure| all.text.contains(&failure.text)), "{}", all.text);
            assert_eq!(Refusals(failures.clone()).last().text, failures.last().map_or("the settings name no login", |last| &last.text));
        }
    }

    #[test]
    fn what_is_the_servers_matter_stands_alone() {
        let failure = |code, text: &str| Failure::new(Stage::Issue, code, text);
        for code in [Code::Unreachable, Code::TlsUntrusted, Code::ServerSealed] {
            let all = Refusals(vec![failure(Code::LoginRefused, "first"), failure(code, "second")]).together();
            assert_eq!((all.code, all.text.as_str()), (code, "second"));
        }
    }
}
