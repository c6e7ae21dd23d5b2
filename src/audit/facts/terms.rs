//! What callers, listeners and users of trust lists are told beside addresses and files: versions, limits, revocation. Nothing here judges.

use std::path::PathBuf;

/// What else the user of a trust list is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustTerms {
    /// At most so many certificates between leaf and root; `None`: no limit that matters.
    pub depth: Option<DepthLimit>,
    /// Revocation lists (PEM) that must cover every authority of a path (OpenSSL's `CRL_CHECK_ALL`).
    pub crls: Vec<PathBuf>,
    /// The account that reads the list, where it is not root.
    pub account: Option<String>,
}

/// A limit to how long a path may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthLimit {
    /// Certificates between leaf and root.
    pub most: usize,
    /// The option that sets it.
    pub option: String,
    /// Whether it is set, or the default.
    pub is_set: bool,
}

/// What else a listener is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerTerms {
    /// Versions of TLS that it speaks, where the configuration says them.
    pub versions: Option<Versions>,
    /// It hands every byte on as it came, by these connections (indexes into [`super::wiring::Wiring::connections`]): whoever calls it meets what they
    /// lead to. Empty: nothing says where they lead.
    pub passes: Option<Vec<usize>>,
    /// Cipher suites of TLS 1.2, where each is named.
    pub suites: Option<Suites>,
    /// It wants a line of the PROXY protocol before anything else.
    pub proxy_line: bool,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// TLS 1.1 and older.
    pub old: bool,
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl Versions {
    /// Whether there is one that both speak.
    #[must_use]
    pub const fn meet(self, other: Self) -> bool {
        (self.old && other.old) || (self.tls12 && other.tls12) || (self.tls13 && other.tls13)
    }

    /// Those of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self { old: self.old || other.old, tls12: self.tls12 || other.tls12, tls13: self.tls13 || other.tls13 }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        let names = [(self.old, "TLS 1.1 and older"), (self.tls12, "TLS 1.2"), (self.tls13, "TLS 1.3")];
        names.into_iter().filter(|(speaks, _)| *speaks).map(|(_, name)| name).collect::<Vec<_>>().join(" and ")
    }
}

/// Cipher suites, each by the name that the configuration gives it, and whether it needs an EC key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suites(Vec<(String, bool)>);

impl Suites {
    /// One more.
    pub fn add(&mut self, name: &str, ec: bool) {
        self.0.push((name.to_owned(), ec));
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them serves a key of this kind.
    #[must_use]
    pub fn fits(&self, ec: bool) -> bool {
        self.0.iter().any(|(_, own)| *own == ec)
    }

    /// Whether both name one that the other names as well.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        self.0.iter().any(|(name, _)| other.0.iter().any(|(theirs, _)| theirs == name))
    }

    /// The first of them, in words.
    #[must_use]
    pub fn words(&self) -> String {
        self.0.iter().take(6).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// What else a caller is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallTerms {
    /// Versions of TLS that it speaks, where the configuration says them.
    pub versions: Option<Versions>,
    /// Cipher suites of TLS 1.2, where each is named.
    pub suites: Option<Suites>,
    /// It carries on what somebody else said, in TLS or not, and understands none of it.
    pub raw: bool,
    /// What it shows is made by a service at its first start, and is not on this copy of the host.
    pub made_later: bool,
    /// It logs in by the certificate that it shows: who does not ask for one cannot let it in.
    pub login: bool,
}
