//! A program that uses certificate material: its habits, as far as they decide whether a file is right for it, and its own words.

use std::cmp::Ordering;

/// By what a program speaks TLS: whom it accepts follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStack {
    /// OpenSSL without partial chains: a trust list must hold the self-signed root.
    OpenSsl,
    /// Go's crypto/tls: any certificate of a list is an anchor.
    Go,
    /// Nothing is known of it.
    Unknown,
}

/// What is seen where a call fails, if the program has words of its own for it; else those of its TLS stack are told.
#[derive(Clone, Copy, Debug)]
pub struct Symptoms {
    /// A listener that speaks TLS was spoken to in plain HTTP.
    pub plain_to_tls: Option<&'static str>,
    /// A listener got no client certificate and requires one: what the caller sees.
    pub no_certificate: Option<&'static str>,
    /// Its own client certificate is of an authority that the listener does not know: what it sees as the caller.
    pub unknown_authority: Option<&'static str>,
}

/// Lines for its configuration that mend what `probe` finds; without one the remedy is said in words.
#[derive(Clone, Copy, Debug)]
pub struct RemedyLines {
    /// TLS is spoken where it was not.
    pub tls: Option<&'static str>,
    /// No version of TLS before 1.2 is spoken.
    pub protocols: Option<&'static str>,
    /// Names a trust list so that it holds this root as well: the files that are named now, and the subject of the root.
    pub trust: Option<fn(&[String], &str) -> String>,
}

/// The driver of `reload` for a program, and how its unit is known.
#[derive(Clone, Copy, Debug)]
pub struct TakesUp {
    /// The driver's key in the settings.
    pub driver: &'static str,
    /// Executables that its unit starts.
    pub started_as: &'static [&'static str],
    /// What packages call its unit.
    pub usual_unit: &'static str,
    /// Whether only what its plugins read is taken up so.
    pub only_by_plugins: bool,
}

/// A program.
#[derive(Debug)]
pub struct Program {
    /// As findings name it among those who refuse something.
    pub name: &'static str,
    /// Its executables, if they read their keys under the account of their unit: then that account must be able to. One that begins as root
    /// and reads them before it changes its account has none here.
    pub executables: &'static [&'static str],
    /// Accounts besides root that its keys may belong to.
    pub accounts: &'static [&'static str],
    /// By what it speaks TLS.
    pub tls: TlsStack,
    /// It sends its leaf alone, whatever its file holds; with OpenSSL the others complete what they send from their own trust list, where no
    /// chain is configured (`SSL_MODE_NO_AUTO_CHAIN` is not set).
    pub leaf_alone: bool,
    /// Whether those it shows its certificate to look at the extended key usage.
    pub usage_is_checked: bool,
    /// Whoever shows a certificate like this program's as a client, with a common name, is an administrator of the service.
    pub client_is_administrator: bool,
    /// What is seen of it.
    pub symptoms: Symptoms,
    /// What mends it.
    pub remedies: RemedyLines,
    /// How omens makes it take up another certificate, where there is a driver for it.
    pub takes_up: Option<TakesUp>,
}

/// Anything of which nothing is known; what a descriptor does not say of its program is as here.
pub static OTHER: Program = Program::named("the service");

impl Program {
    /// A program of which only the name is known.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self {
            name,
            executables: &[],
            accounts: &[],
            tls: TlsStack::Unknown,
            leaf_alone: false,
            usage_is_checked: true,
            client_is_administrator: false,
            symptoms: Symptoms { plain_to_tls: None, no_certificate: None, unknown_authority: None },
            remedies: RemedyLines { tls: None, protocols: None, trust: None },
            takes_up: None,
        }
    }

    /// Whether it judges its peers with OpenSSL, without partial chains.
    #[must_use]
    pub fn is_openssl(&self) -> bool {
        self.tls == TlsStack::OpenSsl
    }

    /// Whether it is written in Go.
    #[must_use]
    pub fn is_go(&self) -> bool {
        self.tls == TlsStack::Go
    }

    /// Whether it completes what it sends from its own trust list.
    #[must_use]
    pub fn completes(&self) -> bool {
        self.is_openssl() && !self.leaf_alone
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Program {}

impl PartialOrd for Program {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Program {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}
