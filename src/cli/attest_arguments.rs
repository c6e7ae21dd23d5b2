//! The command line of `attest`.

use clap::Args;

/// `attest`.
#[derive(Args, Debug)]
pub struct Attest {
    /// Attest once and say the verdict
    #[arg(long)]
    pub once: bool,
    /// Print the PCR values of now as a policy, and the command with which an administrator enrols this host
    #[arg(long, conflicts_with = "once")]
    pub print_policy: bool,
    /// PCRs of the policy (default: tpm.pcrs, else 0 to 7)
    #[arg(long, value_name = "N,…", value_delimiter = ',', requires = "print_policy", conflicts_with = "once")]
    pub pcrs: Option<Vec<u32>>,
}
