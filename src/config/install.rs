//! `install`: which files a consumer gets at its own paths, and in which form.

use std::path::PathBuf;

use crate::model::layout;

/// One entry of `install`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The consumer's directory.
    pub dir: PathBuf,
    /// Links or copies.
    pub kind: InstallKind,
    /// File name in `dir` for each part that is wanted.
    pub files: Vec<(Part, String)>,
    /// The file with the password of parts that need one.
    pub password: Option<PathBuf>,
}

impl Install {
    /// The parts of it that are made only where they are asked for.
    pub fn containers(&self) -> impl Iterator<Item = Container> {
        let wanted = self.files.iter().map(|(part, _)| *part).filter(|part| part.is_container());
        wanted.map(|part| Container { part, password: self.password.clone().filter(|_| part.needs_password()) })
    }
}

/// A file with key and chain in a form that only some consumers read, made only where `install` asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Which one.
    pub part: Part,
    /// The file with its password, where it needs one.
    pub password: Option<PathBuf>,
}

/// Links are atomic and follow every swap; copies are for consumers that refuse links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallKind {
    /// Files renewed one after the other, key last.
    Copy,
    /// Symbolic links into the run directory.
    Link,
}

impl InstallKind {
    /// Both of them, the usual one first.
    pub const ALL: [Self; 2] = [Self::Link, Self::Copy];

    /// The word in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Link => "link",
        }
    }
}

/// What may stand first in a file of everything, and the word for it in settings.
pub const ORDERS: [(&str, Part); 2] = [("cert-first", Part::Combined), ("key-first", Part::CombinedKeyFirst)];

/// A part of a generation a consumer can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All pinned roots, from the trust directory.
    Anchors,
    /// All pinned roots and the intermediates of this host's chains, likewise.
    Bundle,
    /// The first pinned root, likewise.
    Ca,
    /// The leaf.
    Cert,
    /// The intermediates.
    Chain,
    /// Full chain, then key, in one file.
    Combined,
    /// Key, then full chain, in one file.
    CombinedKeyFirst,
    /// Leaf and intermediates.
    Fullchain,
    /// Key and chain as Java's own keystore.
    Jks,
    /// The private key.
    Key,
    /// Key and chain as PKCS #12 (RFC 7292).
    Pkcs12,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ca,
        Self::Anchors,
        Self::Bundle,
        Self::Cert,
        Self::Chain,
        Self::Combined,
        Self::CombinedKeyFirst,
        Self::Fullchain,
        Self::Jks,
        Self::Key,
        Self::Pkcs12,
    ];

    /// Those that are a key in the settings; the order of a combined file is said beside it.
    pub const KEYS: [Self; 10] = [
        Self::Ca,
        Self::Anchors,
        Self::Bundle,
        Self::Cert,
        Self::Chain,
        Self::Combined,
        Self::Fullchain,
        Self::Jks,
        Self::Key,
        Self::Pkcs12,
    ];

    /// Whether it is made only where it is asked for.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::CombinedKeyFirst) || self.needs_password()
    }

    /// Whether it is written under a password.
    #[must_use]
    pub const fn needs_password(self) -> bool {
        matches!(self, Self::Jks | Self::Pkcs12)
    }

    /// Whether the private key is in it.
    #[must_use]
    pub const fn holds_key(self) -> bool {
        matches!(self, Self::Combined | Self::Key) || self.is_container()
    }

    /// The file of a generation that it names; what consumers are to trust is none of them.
    #[must_use]
    pub const fn file(self) -> Option<&'static str> {
        match self {
            Self::Anchors | Self::Bundle | Self::Ca => None,
            Self::Cert => Some(layout::CERT),
            Self::Chain => Some(layout::CHAIN),
            Self::Combined => Some(layout::COMBINED),
            Self::CombinedKeyFirst => Some(layout::COMBINED_KEY_FIRST),
            Self::Fullchain => Some(layout::FULLCHAIN),
            Self::Jks => Some(layout::JKS),
            Self::Key => Some(layout::KEY),
            Self::Pkcs12 => Some(layout::PKCS12),
        }
    }

    /// Its word in `meta.json`, which is its key in the settings where it has one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchors => "anchors",
            Self::Bundle => "bundle",
            Self::Ca => "ca",
            Self::Cert => "cert",
            Self::Chain => "chain",
            Self::Combined => "combined",
            Self::CombinedKeyFirst => "combined-key-first",
            Self::Fullchain => "fullchain",
            Self::Jks => "jks",
            Self::Key => "key",
            Self::Pkcs12 => "pkcs12",
        }
    }
    /// The file of the trust directory that it is; `None` for a part of a generation.
    #[must_use]
    pub const fn trust_file(self) -> Option<&'static str> {
        match self {
            Self::Anchors => Some(layout::ANCHORS),
            Self::Bundle => Some(layout::BUNDLE),
            Self::Ca => Some(layout::ANCHOR),
            _ => None,
        }
    }
}
