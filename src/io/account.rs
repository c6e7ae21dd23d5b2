//! Names of the user database as numbers.
#![expect(clippy::disallowed_methods, reason = "the door to the user database")]

use nix::unistd::{Group, User};

/// Why a name has no number.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The database does not know it.
    #[error("this host has no {kind} \"{name}\"")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The database did not answer.
    #[error("cannot look up {kind} \"{name}\": {source}")]
    Lookup {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What the system said.
        source: nix::errno::Errno,
    },
}

/// The user that this process runs as.
#[must_use]
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Its group.
#[must_use]
pub fn own_group() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The id of a user, given by name or as a number.
///
/// # Errors
/// There is no such user, or the database cannot be asked.
pub fn user(name: &str) -> Result<u32, AccountError> {
    look_up("user", name, |name| User::from_name(name).map(|found| found.map(|u| u.uid.as_raw())))
}

/// The id of a group, given by name or as a number.
///
/// # Errors
/// There is no such group, or the database cannot be asked.
pub fn group(name: &str) -> Result<u32, AccountError> {
    look_up("group", name, |name| Group::from_name(name).map(|found| found.map(|g| g.gid.as_raw())))
}

fn look_up(kind: &'static str, name: &str, ask: impl Fn(&str) -> nix::Result<Option<u32>>) -> Result<u32, AccountError> {
    let unknown = || AccountError::Unknown { kind, name: name.to_owned() };
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        // (uid_t) -1 means "leave it" to chown(2).
        return name.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(unknown);
    }
    match ask(name) {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(unknown()),
        Err(source) => Err(AccountError::Lookup { kind, name: name.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_same_account() {
        assert_eq!(user("root").ok(), Some(0));
        assert_eq!(group("0").ok(), Some(0));
        assert_eq!(user("65534").ok(), Some(65534));
    }

    #[test]
    fn nobody_is_made_up() {
        for name in ["no-such-account", "", "-1", "4294967295", "99999999999"] {
            assert!(matches!(user(name), Err(AccountError::Unknown { .. })), "{name}");
            assert!(matches!(group(name), Err(AccountError::Unknown { .. })), "{name}");
        }
    }
}
