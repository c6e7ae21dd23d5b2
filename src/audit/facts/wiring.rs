//! What services are told to do with certificates: which pair they serve or show, whom they trust, where they listen and whom they call.
//! Readers fill it in; nothing here judges.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::plugged::Plugged;
use super::program::Program;
pub use super::terms::{CallTerms, DepthLimit, ListenerTerms, TrustTerms, Versions};
use crate::model::audit::{Location, Target};
use crate::model::profile::Purpose;

/// Which program, and where it is told so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The program.
    pub program: &'static Program,
    /// The server block, section or plugin, as findings name it.
    pub target: Target,
    /// The file and line to change.
    pub location: Location,
}

/// A certificate with its key, as somebody is told to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Who.
    pub consumer: Consumer,
    /// PEM file of the leaf, what follows in it is sent as well.
    pub certificate: PathBuf,
    /// PEM file of the key; may be the same file.
    pub key: Option<PathBuf>,
    /// Further PEM files whose certificates are sent.
    pub intermediates: Vec<PathBuf>,
    /// In which role of TLS it is used.
    pub purpose: Purpose,
    /// Names that its peers look for, where the configuration says them (`server_name`, host names of clients).
    pub names: Vec<String>,
    /// Whether a pass phrase for the key is configured.
    pub passphrase: bool,
    /// The account that reads the key, where it is not root.
    pub account: Option<String>,
    /// It sends the leaf alone, whatever the file holds ([TLS](crate::audit#tls)).
    pub leaf_only: bool,
    /// A program picks another one at each handshake: this one is there because the service does not start without.
    pub placeholder: bool,
}

impl Pair {
    /// A pair of which no more is said.
    #[must_use]
    pub const fn new(consumer: Consumer, certificate: PathBuf, key: Option<PathBuf>, purpose: Purpose) -> Self {
        Self {
            consumer,
            certificate,
            key,
            intermediates: Vec::new(),
            purpose,
            names: Vec::new(),
            passphrase: false,
            account: None,
            leaf_only: false,
            placeholder: false,
        }
    }

    /// What its peers ask of the extended key usage.
    #[must_use]
    pub fn asked(&self) -> Option<Purpose> {
        self.consumer.program.usage_is_checked.then_some(self.purpose)
    }
}

/// What a trust list must hold for its user to accept a good peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The self-signed root: OpenSSL without partial chains (nginx, Keylime).
    Root,
    /// Root and intermediate: the peers send their leaf alone ([Options that go wrong](crate::audit#options-that-go-wrong),
    /// `trusted_server_ca`).
    RootAndIntermediate,
    /// Any certificate above the leaf: Go takes each one of the file as an anchor ([The Keylime plugin](crate::audit#the-keylime-plugin)).
    Any,
    /// Only the first certificate of the file is read, and it must be the root
    /// ([Options that go wrong](crate::audit#options-that-go-wrong), push agent).
    FirstIsRoot,
}

/// Certificates that somebody trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Who.
    pub consumer: Consumer,
    /// PEM files, or directories of them.
    pub files: Vec<PathBuf>,
    /// Whose certificates are judged by it: `Server` where the user is a client, `Client` where it is a server.
    pub of: Purpose,
    /// What it takes.
    pub needs: Needs,
    /// What else its user is told.
    pub terms: TrustTerms,
}

/// Whether a listener asks its clients for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It does not ask.
    No,
    /// It asks, and lives without.
    Optional,
    /// It refuses those without.
    Required,
}

/// A port that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Who.
    pub consumer: Consumer,
    /// The address it is bound to; empty, `0.0.0.0`, `::` and `*` are all addresses.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Names it answers for.
    pub names: Vec<String>,
    /// What it serves: indexes into [`Wiring::pairs`].
    pub pairs: Vec<usize>,
    /// Whether it asks for client certificates.
    pub client_auth: ClientAuth,
    /// By what it judges them: an index into [`Wiring::trusts`].
    pub trust: Option<usize>,
    /// What else it is told.
    pub terms: ListenerTerms,
}

/// A call to somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who calls.
    pub consumer: Consumer,
    /// Where: name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The name it looks for in the certificate; `None` where it checks none.
    pub name: Option<String>,
    /// By what it judges the server: an index into [`Wiring::trusts`].
    pub trust: Option<usize>,
    /// What it shows: an index into [`Wiring::pairs`].
    pub pair: Option<usize>,
    /// What else it is told.
    pub terms: CallTerms,
}

/// An address at which a service tells others to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Who says so.
    pub consumer: Consumer,
    /// The option.
    pub option: &'static str,
    /// Name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Files that a renewal writes, and whom it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Who renews, and where that is said.
    pub consumer: Consumer,
    /// Files, or directories of them.
    pub files: Vec<PathBuf>,
    /// Programs and units that it reloads when it has renewed; `*` where it is not known which, nothing where it tells nobody.
    pub told: BTreeSet<String>,
    /// In words: `certbot`, `acme.sh` …
    pub what: &'static str,
}

/// An authority that a service signs with: certificate and key, and what its path must end at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub consumer: Consumer,
    /// PEM file of its certificate, further ones behind it.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the roots; without one the authority is a root itself.
    pub bundle: Option<PathBuf>,
    /// The account that reads them, where it is not root.
    pub account: Option<String>,
}

/// A file that a service opens at its start besides certificates, keys and trust lists: a revocation list, parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which program.
    pub program: &'static Program,
    /// The line that names it.
    pub location: Location,
    /// Where it lies.
    pub path: PathBuf,
}

/// All that was read on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// Certificates with keys.
    pub pairs: Vec<Pair>,
    /// Those that plugins read.
    pub plugged: Vec<Plugged>,
    /// Trust lists.
    pub trusts: Vec<Trust>,
    /// Other files that have to be there.
    pub opened: Vec<Opened>,
    /// Ports.
    pub listeners: Vec<Listener>,
    /// Calls.
    pub connections: Vec<Connection>,
    /// Addresses that services tell to others.
    pub advertised: Vec<Advertised>,
    /// Authorities that services sign with.
    pub authorities: Vec<Authority>,
    /// What renews files.
    pub renewals: Vec<Renewal>,
    /// Programs and units that something on the host reloads or restarts; `*` where it is not known which.
    pub reloads: BTreeSet<String>,
    /// Every configuration file that was read.
    pub files: Vec<PathBuf>,
}

impl Wiring {
    /// Adds a pair and gives its index.
    pub fn pair(&mut self, pair: Pair) -> usize {
        self.pairs.push(pair);
        self.pairs.len() - 1
    }

    /// Adds a trust list and gives its index.
    pub fn trust(&mut self, trust: Trust) -> usize {
        self.trusts.push(trust);
        self.trusts.len() - 1
    }

    /// Takes in what another reader found.
    pub fn join(&mut self, other: Self) {
        let (pairs, trusts, connections) = (self.pairs.len(), self.trusts.len(), self.connections.len());
        let moved = |index: Option<usize>, by: usize| index.map(|index| index + by);
        self.pairs.extend(other.pairs);
        self.plugged.extend(other.plugged.into_iter().map(|plugged| Plugged { pair: plugged.pair + pairs, ..plugged }));
        self.trusts.extend(other.trusts);
        self.opened.extend(other.opened);
        self.files.extend(other.files);
        self.advertised.extend(other.advertised);
        self.authorities.extend(other.authorities);
        self.renewals.extend(other.renewals);
        self.reloads.extend(other.reloads);
        self.listeners.extend(other.listeners.into_iter().map(|listener| Listener {
            pairs: listener.pairs.iter().map(|index| index + pairs).collect(),
            trust: moved(listener.trust, trusts),
            terms: ListenerTerms {
                passes: listener.terms.passes.map(|passes| passes.iter().map(|index| index + connections).collect()),
                ..listener.terms
            },
            ..listener
        }));
        self.connections.extend(other.connections.into_iter().map(|connection| Connection {
            trust: moved(connection.trust, trusts),
            pair: moved(connection.pair, pairs),
            ..connection
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::OTHER;
    use super::*;

    fn consumer() -> Consumer {
        Consumer { program: &OTHER, target: Target::new("file", "/x"), location: Location::file("/x") }
    }

    #[test]
    fn indexes_stay_right_when_two_hosts_parts_become_one() {
        let read = |name: &str| {
            let mut wiring = Wiring::default();
            let (terms, files) = (TrustTerms::default(), vec![name.into()]);
            let trust = wiring.trust(Trust { consumer: consumer(), files, of: Purpose::Server, needs: Needs::Any, terms });
            let connection = Connection {
                consumer: consumer(),
                host: name.into(),
                port: 1,
                tls: true,
                name: None,
                trust: Some(trust),
                pair: None,
                terms: CallTerms::default(),
            };
            wiring.connections.push(connection);
            wiring
        };
        let mut all = read("a");
        all.join(read("b"));
        for connection in &all.connections {
            assert_eq!(all.trusts[connection.trust.unwrap()].files, [PathBuf::from(&connection.host)]);
        }
    }
}
