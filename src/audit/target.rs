//! What a person asks to look at: the TARGET words of the command line. It must never look itself.

use std::path::{Path, PathBuf};

/// One TARGET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// A PEM or DER file, or a directory of them.
    Path(PathBuf),
    /// `HOST:PORT`.
    Endpoint(String),
    /// `unit:NAME`.
    Unit(String),
    /// `nginx:FILE`.
    Nginx(PathBuf),
    /// `nginx-dump:FILE`: what `nginx -T` printed.
    NginxDump(PathBuf),
    /// `keylime:DIR`.
    Keylime(PathBuf),
    /// `spire:FILE`.
    Spire(PathBuf),
    /// `openbao:FILE`.
    OpenBao(PathBuf),
}

impl Where {
    /// The file or directory that it names.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path)
            | Self::Nginx(path)
            | Self::NginxDump(path)
            | Self::Keylime(path)
            | Self::Spire(path)
            | Self::OpenBao(path) => Some(path),
            Self::Endpoint(_) | Self::Unit(_) => None,
        }
    }

    /// The same with a relative name begun at this directory.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        let path = |path: PathBuf| directory.join(path).components().collect::<PathBuf>();
        match self {
            Self::Path(file) => Self::Path(path(file)),
            Self::Nginx(file) => Self::Nginx(path(file)),
            Self::NginxDump(file) => Self::NginxDump(path(file)),
            Self::Keylime(file) => Self::Keylime(path(file)),
            Self::Spire(file) => Self::Spire(path(file)),
            Self::OpenBao(file) => Self::OpenBao(path(file)),
            Self::Endpoint(_) | Self::Unit(_) => self,
        }
    }

    /// Reads a word. `exists` says whether a path is there: then it is meant, whatever else it looks like.
    ///
    /// # Errors
    /// What is expected, when the word is none of the targets.
    pub fn parse(word: &str, exists: impl Fn(&str) -> bool) -> Result<Self, String> {
        if let Some((kind, rest)) = word.split_once(':') {
            let path = || if rest.is_empty() { Err(format!("expected a path after \"{kind}:\"")) } else { Ok(PathBuf::from(rest)) };
            match kind {
                "unit" if rest.is_empty() => return Err("expected a unit's name after \"unit:\"".to_owned()),
                "unit" => return Ok(Self::Unit(rest.to_owned())),
                "nginx" => return path().map(Self::Nginx),
                "nginx-dump" => return path().map(Self::NginxDump),
                "keylime" => return path().map(Self::Keylime),
                "spire" => return path().map(Self::Spire),
                "openbao" => return path().map(Self::OpenBao),
                _ => {}
            }
        }
        if word.is_empty() {
            return Err(
                "expected a file, a directory, HOST:PORT, or unit:, nginx:, nginx-dump:, keylime:, spire:, openbao: and a name".to_owned()
            );
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

    #[test]
    fn words_mean_what_they_say() {
        let nothing = |_: &str| false;
        let rows = [
            ("web.pem", Where::Path("web.pem".into())),
            ("/etc/ssl", Where::Path("/etc/ssl".into())),
            ("ca.funlab.casa:8200", Where::Endpoint("ca.funlab.casa:8200".into())),
            ("[::1]:443", Where::Endpoint("[::1]:443".into())),
            ("::1:443", Where::Path("::1:443".into())),
            ("host:0", Where::Path("host:0".into())),
            ("unit:nginx", Where::Unit("nginx".into())),
            ("nginx:/etc/nginx/nginx.conf", Where::Nginx("/etc/nginx/nginx.conf".into())),
            ("nginx-dump:d", Where::NginxDump("d".into())),
            ("keylime:/etc/keylime", Where::Keylime("/etc/keylime".into())),
            ("spire:s.conf", Where::Spire("s.conf".into())),
            ("openbao:b.hcl", Where::OpenBao("b.hcl".into())),
        ];
        for (word, expected) in rows {
            assert_eq!(Where::parse(word, nothing), Ok(expected), "{word}");
        }
        assert_eq!(Where::parse("a:443", |_| true), Ok(Where::Path("a:443".into())));
        for wrong in ["", "nginx:", "unit:"] {
            assert!(Where::parse(wrong, nothing).is_err(), "{wrong}");
        }
    }
}
