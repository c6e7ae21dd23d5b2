//! The command line of commands that only look or print.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::described;
use crate::model::span;
use crate::model::starttls::StartTls;

/// `check-config`.
#[derive(Args, Debug)]
pub struct CheckConfig {
    /// Also ask OpenBao: reachable, root pin, login, what the login may and should not
    #[arg(long)]
    pub online: bool,
}

/// `probe`.
#[derive(Args, Debug)]
pub struct Probe {
    /// The endpoint
    #[arg(value_name = "HOST:PORT", value_parser = endpoint)]
    pub address: String,
    /// The name it must have a certificate for; sent as SNI (default: HOST)
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Client certificate to show: PEM, the leaf first
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its key (default: in the file of --cert)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// What to trust; may be repeated (default: the pinned root of the settings)
    #[arg(long, value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// What the server speaks in clear before it goes over to TLS
    #[arg(long, value_name = "PROTOCOL", value_parser = starttls())]
    pub starttls: Option<StartTls>,
    /// How long each handshake may take
    #[arg(long, value_name = "DUR", default_value = "5s", value_parser = some_time)]
    pub timeout: Duration,
}

/// A length of time in which something can be done.
fn some_time(text: &str) -> Result<Duration, String> {
    let time = span::parse(text)?;
    if time.is_zero() { Err("expected more than no time at all".to_owned()) } else { Ok(time) }
}

/// `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Look at the host whose root directory this is: a mounted image, a copy of /etc, a container
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print what OpenBao needs for hosts that log in by evidence instead: policies, roles and auth mounts, as a script
    #[arg(long, conflicts_with = "root")]
    pub server: bool,
}

/// `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum, required_unless_present_any = ["names", "unnamed"])]
    pub shell: Option<clap_complete::Shell>,
    /// Print the certificates' names, as the scripts ask for them
    #[arg(long, conflicts_with = "shell")]
    pub names: bool,
    /// Print the names of what is left of certificates that the settings no longer name, likewise
    #[arg(long, conflicts_with_all = ["shell", "names"])]
    pub unnamed: bool,
}

/// `schema`.
#[derive(Args, Debug)]
pub struct Schema {
    /// The document
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(described::names()))]
    pub name: Option<String>,
}

/// `man`.
#[derive(Args, Debug)]
pub struct Man {
    /// Directory for the pages of all commands
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

fn endpoint(text: &str) -> Result<String, String> {
    let is_host = |host: &str| !host.is_empty() && (host.starts_with('[') && host.ends_with(']') || !host.contains(':'));
    match text.rsplit_once(':').filter(|(host, port)| is_host(host) && !port.is_empty()) {
        Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        Some((_, port)) => Err(format!("expected a port of 1 to 65535, found \"{port}\"")),
        None => Err("expected HOST:PORT, such as ca.example:8200 or [::1]:443".to_owned()),
    }
}

/// The words of [`StartTls`].
fn starttls() -> impl TypedValueParser<Value = StartTls> {
    PossibleValuesParser::new(StartTls::ALL.map(StartTls::as_str))
        .try_map(|word| StartTls::ALL.into_iter().find(|known| known.as_str() == word).ok_or("no such protocol"))
}

/// `explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// The finding's id, such as name.not-covered
    #[arg(value_name = "ID")]
    pub id: String,
}
