//! The command line of `enroll`.

use clap::{ArgGroup, Args};

use super::wait_arguments::{Wait, reason};
use crate::config::value;
use crate::model::secret::SecretSource;

/// `enroll`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("once"))]
pub struct Enroll {
    /// A wrapping token with a token in it
    #[arg(long, value_name = "file:F", group = "once", value_parser = secret)]
    pub wrapping_token: Option<Secret>,
    /// A token
    #[arg(long, value_name = "file:F", group = "once", value_parser = secret)]
    pub token: Option<Secret>,
    /// A role id and a secret id, or a wrapping token with the secret id in it
    #[arg(long, value_name = "file:ROLE,file:SECRET|wrapped:F", group = "once", value_parser = by_approle)]
    pub approle: Option<ByAppRole>,
    /// A signed token for the role of a `jwt` login in the settings
    #[arg(long, value_name = "file:F", group = "once", value_parser = secret)]
    pub jwt: Option<Secret>,
    /// Issue without the verdict that the settings require; the reason (at least 10 characters) is kept and reported
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub break_glass: Option<String>,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// Where a secret lies.
#[derive(Clone, Debug)]
pub struct Secret(pub SecretSource);

/// `--approle`.
#[derive(Clone, Debug)]
pub struct ByAppRole {
    /// Where the role id lies.
    pub role_id: SecretSource,
    /// Where the secret id lies, or what it is wrapped in.
    pub secret_id: SecretSource,
    /// Whether it is wrapped.
    pub is_wrapped: bool,
}

fn source(text: &str) -> Result<SecretSource, String> {
    // What was typed may be the secret itself: it is not repeated.
    value::secret(text)
        .map_err(|_| "expected file:PATH or credential:NAME, found something else; a secret never stands on a command line".to_owned())
}

fn secret(text: &str) -> Result<Secret, String> {
    source(text).map(Secret)
}

fn by_approle(text: &str) -> Result<ByAppRole, String> {
    let (role, secret) = text.split_once(',').ok_or("expected file:ROLE,file:SECRET or file:ROLE,wrapped:FILE, found something else")?;
    let wrapped = secret.strip_prefix("wrapped:");
    let secret_id = source(&wrapped.map_or_else(|| secret.to_owned(), |file| format!("file:{file}")))?;
    Ok(ByAppRole { role_id: source(role)?, secret_id, is_wrapped: wrapped.is_some() })
}
