//! The command line: commands, flags and their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub use super::attest_arguments::Attest;
pub use super::audit_arguments::{AuditFormat, AuditMerge, AuditPurpose, AuditReport, AuditVerdict, ChainAudit, FailOn};
pub use super::enroll_arguments::Enroll;
pub use super::look_arguments::{CheckConfig, Completions, Explain, Init, Man, Probe, Schema};
pub use super::revoke_arguments::Revoke;
pub use super::wait_arguments::Wait;
use super::wait_arguments::{cert_name, reason};
use super::when::{Expression, every};
use super::{help, help_look};
use crate::model::name::CertName;

/// Where the settings lie unless `--config` says otherwise.
pub const CONFIG: &str = "/etc/omens/omens.toml";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "omens", version, about = "Keep the short-lived certificates of this host alive", long_about = help::OMENS, after_long_help = help::OMENS_AFTER, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that may stand before and after the command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Settings file; omens.d/*.toml beside it is read too
    #[arg(long, global = true, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Whether the command line names it.
    #[arg(skip)]
    pub names_config: bool,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Print no result, only what went wrong, on stderr: for cron. Commands that only print (init, schema, explain) do; not with --json
    #[arg(short = 'q', long, global = true, conflicts_with = "json")]
    pub quiet: bool,
    /// Say more on stderr; twice for every step
    #[arg(short = 'v', long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Always.
    Always,
    /// On a terminal.
    Auto,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Renew what is due: issue, check, swap, reload, prove
    #[command(long_about = help::RENEW, after_long_help = help::RENEW_AFTER)]
    Renew(Renew),
    /// Serve: renew what is due at once, and then on a schedule until a signal
    #[command(long_about = help::RUN, after_long_help = help::RUN_AFTER)]
    Run(Run),
    /// Show what `renew --all` would do, and why
    #[command(long_about = help::PLAN, after_long_help = help::PLAN_AFTER)]
    Plan,
    /// Show what is served, what is due, and what went wrong last
    #[command(long_about = help::STATUS, after_long_help = help::STATUS_AFTER)]
    Status(Status),
    /// Publish the committed certificates again, as after a boot
    #[command(long_about = help::RESTORE, after_long_help = help::RESTORE_AFTER)]
    Restore,
    /// Put the private keys under a new sealing key of the TPM
    #[command(long_about = help::RESEAL, after_long_help = help::RESEAL_AFTER)]
    Reseal(Reseal),
    /// Go back to the generation before the current one
    #[command(long_about = help::ROLLBACK, after_long_help = help::ROLLBACK_AFTER)]
    Rollback(Rollback),
    /// Have a certificate revoked at the CA: the one that was replaced, the one that serves, or another
    #[command(long_about = help::REVOKE, after_long_help = help::REVOKE_AFTER)]
    Revoke(Revoke),
    /// Let a certificate ask the CA again at once, after its signing requests were lost or wasted
    #[command(long_about = help::UNBLOCK, after_long_help = help::UNBLOCK_AFTER)]
    Unblock(Unblock),
    /// Remove what is left of a certificate that the settings no longer name
    #[command(long_about = help::FORGET, after_long_help = help::FORGET_AFTER)]
    Forget(Forget),
    /// Make the links of `install` in consumers' own directories
    #[command(long_about = help::INSTALL, after_long_help = help::INSTALL_AFTER)]
    Install(Install),
    /// Attest this host to its verifier, until a signal or once
    #[command(long_about = help::ATTEST, after_long_help = help::ATTEST_AFTER)]
    Attest(Attest),
    /// Issue the certificate that this host logs in with, by a login that is used once
    #[command(long_about = help::ENROLL, after_long_help = help::ENROLL_AFTER)]
    Enroll(Enroll),
    /// Check the settings, and with --online what they ask of OpenBao
    #[command(long_about = help_look::CHECK_CONFIG, after_long_help = help_look::CHECK_CONFIG_AFTER)]
    CheckConfig(CheckConfig),
    /// Say what is wrong with certificates, trust lists and the configurations that use them
    #[command(long_about = help_look::chain_audit(), after_long_help = help_look::CHAIN_AUDIT_AFTER)]
    ChainAudit(Box<ChainAudit>),
    /// Ask one endpoint who refuses whom, why, and what mends it
    #[command(long_about = help_look::PROBE, after_long_help = help_look::PROBE_AFTER)]
    Probe(Probe),
    /// Say what a finding means, what to do, and by which rule it is one
    #[command(after_long_help = help_look::EXPLAIN_AFTER)]
    Explain(Explain),
    /// Print settings for the certificates that this host uses today
    #[command(long_about = help_look::INIT, after_long_help = help_look::INIT_AFTER)]
    Init(Init),
    /// Print a completion script for a shell
    #[command(after_long_help = help_look::COMPLETIONS_AFTER)]
    Completions(Completions),
    /// Print the JSON schema of a document, or the names of all
    #[command(after_long_help = help_look::SCHEMA_AFTER)]
    Schema(Schema),
    /// Print the manual page, or write all pages into a directory
    #[command(after_long_help = help_look::MAN_AFTER)]
    Man(Man),
}

impl Command {
    /// The word on the command line and in `schema`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Renew(_) => "renew",
            Self::Run(_) => "run",
            Self::Plan => "plan",
            Self::Status(_) => "status",
            Self::Restore => "restore",
            Self::Reseal(_) => "reseal",
            Self::Revoke(_) => "revoke",
            Self::Rollback(_) => "rollback",
            Self::Unblock(_) => "unblock",
            Self::Forget(_) => "forget",
            Self::Install(_) => "install",
            Self::Attest(_) => "attest",
            Self::Enroll(_) => "enroll",
            Self::CheckConfig(_) => "check-config",
            Self::ChainAudit(_) => "chain-audit",
            Self::Probe(_) => "probe",
            Self::Explain(_) => "explain",
            Self::Init(_) => "init",
            Self::Completions(_) => "completions",
            Self::Schema(_) => "schema",
            Self::Man(_) => "man",
        }
    }

    /// Whether it does something to certificates, which leaves metrics: everything else only looks.
    #[must_use]
    pub const fn is_run(&self) -> bool {
        match self {
            Self::Renew(_) | Self::Run(_) | Self::Restore | Self::Reseal(_) | Self::Revoke(_) => true,
            Self::Rollback(_) | Self::Unblock(_) | Self::Forget(_) | Self::Install(_) | Self::Enroll(_) => true,
            Self::Plan | Self::Status(_) | Self::Attest(_) | Self::CheckConfig(_) | Self::ChainAudit(_) | Self::Probe(_) => false,
            Self::Explain(_) | Self::Init(_) | Self::Completions(_) | Self::Schema(_) | Self::Man(_) => false,
        }
    }
}

/// `renew`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct Renew {
    /// Certificates to look at, by their names in the settings
    #[arg(value_name = "NAME", group = "which", value_parser = cert_name)]
    pub names: Vec<CertName>,
    /// Look at every certificate of the settings
    #[arg(long, group = "which")]
    pub all: bool,
    /// Sign anew also what is not due, and withdraw what waits to be taken up
    #[arg(long)]
    pub force: bool,
    /// Issue without the verdict that the settings require; the reason (at least 10 characters) is kept and reported
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub break_glass: Option<String>,
    /// Ask the CA first whether it has revoked what serves: that is due then
    #[arg(long)]
    pub check_revoked: bool,
    /// Do what is due now, whatever `window` says
    #[arg(long)]
    pub ignore_window: bool,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Time from the start of a run to the start of the next, 1s to 7d
    #[arg(long, value_name = "DUR", default_value = "15m", conflicts_with = "cron", value_parser = every)]
    pub every: Duration,
    /// Run at these times instead, in UTC: five cron fields, or six with seconds first
    #[arg(long, value_name = "EXPR", value_parser = Expression::parse)]
    pub cron: Option<Expression>,
}

/// `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Say by the exit code whether one of NAME (none: any at all) is due
    #[arg(long, value_name = "NAME", num_args = 0.., value_parser = cert_name)]
    pub due: Option<Vec<CertName>>,
    /// What to print; --json is the same as json
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = StatusFormat::Text, conflicts_with = "due")]
    pub format: StatusFormat,
}

/// `--format` of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// For people: one line a certificate, worst first; -v for more.
    Text,
    /// One JSON document.
    Json,
    /// Metrics, as for a textfile collector.
    Prometheus,
}

/// `reseal`.
#[derive(Args, Debug)]
pub struct Reseal {
    /// Trust the TPM that is there now in place of the pinned one: after it was cleared or replaced, and on purpose
    #[arg(long)]
    pub new_tpm: bool,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// `rollback`.
#[derive(Args, Debug)]
pub struct Rollback {
    /// The certificate, by its name in the settings
    #[arg(value_name = "NAME", value_parser = cert_name)]
    pub name: CertName,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// `unblock`.
#[derive(Args, Debug)]
pub struct Unblock {
    /// The certificate, by its name in the settings
    #[arg(value_name = "NAME", value_parser = cert_name)]
    pub name: CertName,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// `forget`.
#[derive(Args, Debug)]
pub struct Forget {
    /// The certificate, by the name that it had in the settings
    #[arg(value_name = "NAME", value_parser = cert_name)]
    pub name: CertName,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// `install`.
#[derive(Args, Debug)]
pub struct Install {
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_not_what_its_type_is() {
        let mut program = Arguments::command();
        program.build();
        for command in program.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.starts_with(char::is_uppercase), "{}: {about}", command.get_name());
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        for line in ["omens --config /x --json -v renew --all --color never", "omens --color never renew --json --all -v --config /x"] {
            let global = parse(line).unwrap().global;
            assert_eq!((global.config, global.json, global.color, global.verbose), ("/x".into(), true, Color::Never, 1), "{line}");
        }
    }

    #[test]
    fn renew_wants_either_all_or_names() {
        assert!(parse("omens renew").is_err());
        assert!(parse("omens renew --all nginx").is_err());
        assert!(parse("omens renew ../x").is_err());
        let Command::Renew(renew) = parse("omens renew a b --force --wait 5m").unwrap().command else { panic!("renew") };
        assert_eq!((renew.names.len(), renew.all, renew.force, renew.wait.wait), (2, false, true, Duration::from_secs(300)));
        assert!(parse("omens renew --all --wait 5").is_err());
    }

    #[test]
    fn status_tells_due_with_names_from_due_at_all() {
        let due = |line| match parse(line).unwrap().command {
            Command::Status(status) => status.due.map(|names| names.len()),
            _ => panic!("status"),
        };
        assert_eq!([due("omens status"), due("omens status --due"), due("omens status --due a b --json")], [None, Some(0), Some(2)]);
    }
}
