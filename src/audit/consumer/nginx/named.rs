//! Certificates whose paths are made of the name that a client asks for, and commands of OpenSSL that name files.

use std::path::{Path, PathBuf};

use super::scope::Scope;
use crate::audit::facts::wiring::{Consumer, Pair};
use crate::model::profile::Purpose;

/// Where a key or certificate is, as a value names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    File(PathBuf),
    Inline,
    Elsewhere,
    Variable,
}

/// What a value names; relative paths are relative to where the main file lies.
pub(super) fn of(prefix: &Path, value: &str) -> Named {
    if value.starts_with("data:") {
        return Named::Inline;
    }
    if value.starts_with("engine:") || value.starts_with("store:") {
        return Named::Elsewhere;
    }
    if value.contains('$') { Named::Variable } else { Named::File(prefix.join(value)) }
}

/// `SSL_CONF_cmd(3)`: these take a file.
const FILES: &[&str] =
    &["Certificate", "PrivateKey", "ChainCAFile", "VerifyCAFile", "RequestCAFile", "ClientCAFile", "ServerInfoFile", "DHParameters"];

/// Whether a command of `ssl_conf_command` names a file.
pub(super) fn is_file(command: &str) -> bool {
    FILES.iter().any(|known| known.eq_ignore_ascii_case(command))
}

/// What is used where a client asks for one of a server's names.
pub(super) struct ByName {
    name: String,
    certificate: PathBuf,
    key: Option<PathBuf>,
}

impl ByName {
    pub(super) fn pair(self, consumer: Consumer, purpose: Purpose, passphrase: bool) -> Pair {
        Pair {
            consumer,
            certificate: self.certificate,
            key: self.key,
            intermediates: Vec::new(),
            purpose,
            names: vec![self.name],
            passphrase,
            account: None,
            leaf_only: false,
            placeholder: false,
        }
    }
}

/// The pair of each name, where values depend on `$ssl_server_name` alone, by itself or through a `map`. Empty where they do not, or where
/// it is not known for every name.
pub(super) fn by_name(prefix: &Path, scope: &Scope<'_>, certificate: &str, key: Option<&str>, names: &[String]) -> Vec<ByName> {
    if !certificate.contains('$') {
        return Vec::new();
    }
    let file = |value: &str, name: &str| match of(prefix, &resolved(scope, value, name)?) {
        Named::File(path) => Some(path),
        _ => None,
    };
    let each = names.iter().map(|name| {
        let key = match key {
            Some(key) => Some(file(key, name)?),
            None => None,
        };
        Some(ByName { name: name.clone(), certificate: file(certificate, name)?, key })
    });
    each.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// A value for one name; `None` where something else decides as well.
fn resolved(scope: &Scope<'_>, value: &str, name: &str) -> Option<String> {
    let put = |value: &str| value.replace("${ssl_server_name}", name).replace("$ssl_server_name", name);
    let value = put(value);
    let Some(variable) = value.strip_prefix('$') else { return (!value.contains('$')).then_some(value) };
    let map = scope.map(variable.trim_matches(['{', '}']))?;
    if !matches!(map.arg(), "$ssl_server_name" | "${ssl_server_name}") {
        return None;
    }
    let lines = map.inside();
    let own =
        lines.iter().find(|line| line.name.eq_ignore_ascii_case(name)).or_else(|| lines.iter().find(|line| line.name == "default"))?;
    let found = put(own.arg());
    (!found.is_empty() && !found.contains('$')).then_some(found)
}
