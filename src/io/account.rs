//! Names of the user database as numbers.
#![expect(clippy::disallowed_methods, reason = "the door to the user database")]

use std::cell::RefCell;
use std::collections::BTreeMap;

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

/// Accounts that one reading of the settings names, each looked up once: a lookup may read a file or ask a daemon, and a thousand
/// certificates have a few owners. Not for longer than that reading, since accounts change.
#[derive(Debug, Default)]
pub struct Lookups {
    users: RefCell<BTreeMap<String, u32>>,
    groups: RefCell<BTreeMap<String, u32>>,
}

impl Lookups {
    /// As [`user()`].
    ///
    /// # Errors
    /// As [`user()`]; what failed is asked again.
    pub fn user(&self, name: &str) -> Result<u32, AccountError> {
        once(&self.users, name, user)
    }

    /// As [`group()`].
    ///
    /// # Errors
    /// As [`group()`]; what failed is asked again.
    pub fn group(&self, name: &str) -> Result<u32, AccountError> {
        once(&self.groups, name, group)
    }
}

fn once(known: &RefCell<BTreeMap<String, u32>>, name: &str, ask: impl Fn(&str) -> Result<u32, AccountError>) -> Result<u32, AccountError> {
    if let Some(id) = known.borrow().get(name) {
        return Ok(*id);
    }
    let id = ask(name)?;
    known.borrow_mut().insert(name.to_owned(), id);
    Ok(id)
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
    fn an_account_is_asked_for_once_and_an_unknown_one_again() {
        let (known, asked) = (RefCell::default(), RefCell::new(Vec::new()));
        let ask = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            user(name)
        };
        for _ in 0..2 {
            assert_eq!(once(&known, "root", ask).ok(), Some(0));
            assert!(once(&known, "no-such-account", ask).is_err());
        }
        assert_eq!(*asked.borrow(), ["root", "no-such-account", "no-such-account"]);
        let lookups = Lookups::default();
        assert_eq!((lookups.user("root").ok(), lookups.group("65534").ok()), (Some(0), Some(65534)));
    }

    #[test]
    fn nobody_is_made_up() {
        for name in ["no-such-account", "", "-1", "4294967295", "99999999999"] {
            assert!(matches!(user(name), Err(AccountError::Unknown { .. })), "{name}");
            assert!(matches!(group(name), Err(AccountError::Unknown { .. })), "{name}");
        }
    }
}
