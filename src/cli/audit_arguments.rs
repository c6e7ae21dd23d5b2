//! The command line of `chain-audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::judge::wanted::Wanted;
use crate::model::clock::Time;

/// `chain-audit`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ChainAudit {
    /// Another job on reports.
    #[command(subcommand)]
    pub merge: Option<AuditMerge>,
    /// What to look at; none: what the settings and the usual places of the services name
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The root directory of the host to look at, instead of this host
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Do not read omens' own settings
    #[arg(long)]
    pub no_config: bool,
    /// A trusted root: PEM or DER file; may be repeated
    #[arg(long, value_name = "FILE")]
    pub anchor: Vec<PathBuf>,
    /// Certificates that may lie on a path; may be repeated
    #[arg(long, value_name = "FILE")]
    pub intermediates: Vec<PathBuf>,
    /// A revocation list; with one, every certificate of a path but the anchor must be covered; may be repeated
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// The private key that the certificate must be for; it is only compared; may be repeated
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// What a certificate must look like: a profile's name, or its file
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// What a certificate is used for
    #[arg(long, value_enum, value_name = "PURPOSE")]
    pub purpose: Option<AuditPurpose>,
    /// A name it must be for: dns:NAME, ip:ADDRESS or uri:URI; may be repeated
    #[arg(long, value_name = "KIND:NAME", value_parser = wanted)]
    pub name: Vec<Wanted>,
    /// At most so many intermediates
    #[arg(long, value_name = "N")]
    pub max_depth: Option<usize>,
    /// `path`: RFC 5280 alone; `profile`: also the lints
    #[arg(long, value_enum, value_name = "VERDICT", default_value_t = AuditVerdict::Profile)]
    pub verdict: AuditVerdict,
    /// Judge as if it were this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Time>,
    /// Findings that are lived with: they do not count for --fail-on until each one's end [default: /etc/omens/waivers.toml of the host
    /// that is looked at; with --root and --no-config none]
    #[arg(long, value_name = "FILE")]
    pub waivers: Option<PathBuf>,
    /// Print the id, severity and title of every finding there can be
    #[arg(long)]
    pub list_findings: bool,
    /// How to end and what to print.
    #[command(flatten)]
    pub report: AuditReport,
}

/// How to end and what to print.
#[derive(Args, Clone, Copy, Debug)]
pub struct AuditReport {
    /// From which severity on the exit code is 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// What the report is written as
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = AuditFormat::Text)]
    pub format: AuditFormat,
}

/// `chain-audit merge`.
#[derive(Debug, Subcommand)]
pub enum AuditMerge {
    /// Join the JSON reports of several hosts, and find what only shows across them
    Merge {
        /// Reports, as `chain-audit --format json` prints them
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// How to end and what to print.
        #[command(flatten)]
        report: AuditReport,
    },
}

/// `--purpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditPurpose {
    /// A TLS server's.
    Server,
    /// A TLS client's.
    Client,
    /// Nothing is asked of the extended key usage.
    Any,
}

/// `--verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditVerdict {
    /// RFC 5280, as webpki with its gaps closed.
    Path,
    /// Also the lints.
    Profile,
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// High only.
    High,
    /// Medium and high.
    Medium,
    /// Low, medium and high.
    Low,
    /// Never.
    None,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// For a terminal.
    Text,
    /// One document.
    Json,
    /// One self-contained file that prints well.
    Html,
    /// For code scanners.
    Sarif,
    /// For CI systems.
    Junit,
    /// For the textfile collector of the Prometheus node exporter.
    Prometheus,
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "expected a time of RFC 3339, such as 2026-11-24T12:00:00Z".to_owned())
}

fn wanted(text: &str) -> Result<Wanted, String> {
    let (kind, name) = text.split_once(':').ok_or("expected dns:NAME, ip:ADDRESS or uri:URI")?;
    match kind {
        _ if name.is_empty() => Err(format!("expected a name after \"{kind}:\"")),
        "dns" => Ok(Wanted::Dns(name.to_owned())),
        "ip" => name.parse().map(Wanted::Ip).map_err(|_| format!("expected an IP address after \"ip:\", found \"{name}\"")),
        "uri" => Ok(Wanted::Uri(name.to_owned())),
        _ => Err(format!("expected dns:, ip: or uri:, found \"{kind}:\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_name_says_its_kind() {
        assert_eq!(wanted("dns:a.b").unwrap(), Wanted::Dns("a.b".into()));
        assert_eq!(wanted("ip:::1").unwrap(), Wanted::Ip("::1".parse().unwrap()));
        assert_eq!(wanted("uri:spiffe://a/b").unwrap(), Wanted::Uri("spiffe://a/b".into()));
        for wrong in ["a.b", "dns:", "ip:a", "mail:a@b"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
