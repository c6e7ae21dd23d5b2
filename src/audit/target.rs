//! What a person asks to look at: the TARGET words of the command line.

use std::path::{Path, PathBuf};

use super::consumer;
use super::facts::service::{Operand, Service, TargetKind};

/// One TARGET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// A PEM or DER file, or a directory of them.
    Path(PathBuf),
    /// `HOST:PORT`.
    Endpoint(String),
    /// `PREFIX:OPERAND` of a service.
    Service(ServiceTarget),
}

/// Something of a service, as one of its kinds of target names it.
#[derive(Clone, Debug)]
pub struct ServiceTarget {
    /// What the prefix says.
    pub kind: &'static TargetKind,
    /// What stands behind the colon.
    pub operand: PathBuf,
}

impl PartialEq for ServiceTarget {
    fn eq(&self, other: &Self) -> bool {
        self.kind.prefix == other.kind.prefix && self.operand == other.operand
    }
}

impl Eq for ServiceTarget {}

impl AuditTarget {
    /// The file or directory that it names.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Service(target) if target.kind.operand == Operand::Path => Some(&target.operand),
            Self::Endpoint(_) | Self::Service(_) => None,
        }
    }

    /// The same with a relative name begun at this directory.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        let path = |path: &Path| directory.join(path).components().collect::<PathBuf>();
        match self {
            Self::Path(file) => Self::Path(path(&file)),
            Self::Service(target) if target.kind.operand == Operand::Path => {
                Self::Service(ServiceTarget { operand: path(&target.operand), ..target })
            }
            Self::Endpoint(_) | Self::Service(_) => self,
        }
    }

    /// Reads a word. `exists` says whether a path is there: then it is meant, whatever else it looks like.
    ///
    /// # Errors
    /// What is expected, when the word is none of the targets.
    pub fn parse(word: &str, exists: impl Fn(&str) -> bool) -> Result<Self, String> {
        Self::parse_for(consumer::SERVICES, word, exists)
    }

    /// The same for these services.
    ///
    /// # Errors
    /// What is expected, when the word is none of the targets.
    pub fn parse_for(services: &[&'static Service], word: &str, exists: impl Fn(&str) -> bool) -> Result<Self, String> {
        let kinds = consumer::targets(services);
        if let Some((prefix, operand)) = word.split_once(':')
            && let Some(kind) = kinds.iter().copied().find(|kind| kind.prefix == prefix)
        {
            if operand.is_empty() {
                let expected = match kind.operand {
                    Operand::Path => "a path",
                    Operand::Name => "a unit's name",
                };
                return Err(format!("expected {expected} after \"{prefix}:\""));
            }
            return Ok(Self::Service(ServiceTarget { kind, operand: PathBuf::from(operand) }));
        }
        if word.is_empty() {
            let prefixes: Vec<String> = kinds.iter().map(|kind| format!("{}:", kind.prefix)).collect();
            return Err(format!("expected a file, a directory, HOST:PORT, or {} and a name", prefixes.join(", ")));
        }
        if !exists(word) && !word.contains('/') && is_endpoint(word) {
            return Ok(Self::Endpoint(word.to_owned()));
        }
        Ok(Self::Path(PathBuf::from(word)))
    }
}

/// Whether it reads as `HOST:PORT` or `[ADDRESS]:PORT`.
fn is_endpoint(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target of a service, by its prefix.
    fn of(prefix: &str, operand: &str) -> AuditTarget {
        let kind = consumer::targets(consumer::SERVICES).into_iter().find(|kind| kind.prefix == prefix).unwrap();
        AuditTarget::Service(ServiceTarget { kind, operand: operand.into() })
    }

    #[test]
    fn words_mean_what_they_say() {
        let nothing = |_: &str| false;
        let rows = [
            ("web.pem", AuditTarget::Path("web.pem".into())),
            ("/etc/ssl", AuditTarget::Path("/etc/ssl".into())),
            ("ca.funlab.casa:8200", AuditTarget::Endpoint("ca.funlab.casa:8200".into())),
            ("[::1]:443", AuditTarget::Endpoint("[::1]:443".into())),
            ("::1:443", AuditTarget::Path("::1:443".into())),
            ("host:0", AuditTarget::Path("host:0".into())),
            ("unit:nginx", of("unit", "nginx")),
            ("nginx:/etc/nginx/nginx.conf", of("nginx", "/etc/nginx/nginx.conf")),
            ("nginx-dump:d", of("nginx-dump", "d")),
            ("keylime:/etc/keylime", of("keylime", "/etc/keylime")),
            ("spire:s.conf", of("spire", "s.conf")),
            ("openbao:b.hcl", of("openbao", "b.hcl")),
        ];
        for (word, expected) in rows {
            assert_eq!(AuditTarget::parse(word, nothing), Ok(expected), "{word}");
        }
        assert_eq!(AuditTarget::parse("a:443", |_| true), Ok(AuditTarget::Path("a:443".into())));
        for (wrong, expected) in [
            (
                "",
                "expected a file, a directory, HOST:PORT, or unit:, nginx:, nginx-dump:, keylime:, spire:, openbao:, script:, agent: and a name",
            ),
            ("nginx:", "expected a path after \"nginx:\""),
            ("unit:", "expected a unit's name after \"unit:\""),
        ] {
            assert_eq!(AuditTarget::parse(wrong, nothing), Err(expected.to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_relative_path_begins_at_the_directory_and_a_units_name_nowhere() {
        let below = |word: &str| AuditTarget::parse(word, |_| true).unwrap().below(Path::new("/srv"));
        assert_eq!(below("nginx:./conf/n.conf"), of("nginx", "/srv/conf/n.conf"));
        assert_eq!(below("unit:web"), of("unit", "web"));
        assert_eq!(below("unit:web").path(), None);
    }
}
