//! What several commands take alike: how long to wait, the name of a certificate, and a person's reason.

use std::time::Duration;

use clap::Args;

use crate::model::name::CertName;
use crate::model::span;
use crate::model::text::one_line;

/// The name of a certificate.
pub(super) fn cert_name(text: &str) -> Result<CertName, &'static str> {
    CertName::parse(text)
}

/// What a person says for breaking the glass.
pub(super) fn reason(text: &str) -> Result<String, String> {
    const SHORTEST: usize = 10;
    let reason = one_line(text, 500);
    if reason.chars().count() < SHORTEST { Err(format!("expected a reason of at least {SHORTEST} characters")) } else { Ok(reason) }
}

/// `--wait`.
#[derive(Args, Clone, Copy, Debug)]
pub struct Wait {
    /// How long to wait while another run holds the lock
    #[arg(long, value_name = "DUR", default_value = "60s", value_parser = span::parse)]
    pub wait: Duration,
}
