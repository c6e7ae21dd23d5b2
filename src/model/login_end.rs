//! When a login at an issuer ends, as far as that is known: noted by the run that learnt it, shown by `status`.

use serde::{Deserialize, Serialize};

use super::clock::Time;

/// The end of one login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginEnd {
    /// The auth method, by its word in the settings.
    pub method: String,
    /// When it ends; the last second of the calendar where only its uses are counted.
    pub expires: Time,
    /// Whether runs renew it by themselves, so that it has to last until the next one only.
    pub renews: bool,
    /// How often it can still be used, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u64>,
}

/// A login of which nothing is known about its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownEnd {
    /// The auth method, by its word in the settings.
    pub method: String,
    /// Why not; fit to print.
    pub why: String,
}

/// `logins.json` of the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// 1.
    pub v: u32,
    /// What the last run that logged in learnt.
    pub logins: Vec<LoginEnd>,
    /// What it could not learn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownEnd>,
    /// Logins, by their auth methods, that have no end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endless: Vec<String>,
}

impl Logins {
    /// Nothing yet.
    #[must_use]
    pub fn none() -> Self {
        Self { v: 1, ..Self::default() }
    }

    /// Adds what was learnt of one login.
    pub fn add(&mut self, method: &str, lasts: Lasts) {
        let method = method.to_owned();
        match lasts {
            Lasts::Run => {}
            Lasts::Endless => self.endless.push(method),
            Lasts::Unknown(why) => self.unknown.push(UnknownEnd { method, why }),
            Lasts::Until { expires, renews, uses_left } => self.logins.push(LoginEnd { method, expires, renews, uses_left }),
        }
    }
}

/// How long one login goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// It is made anew for each run, of what has no end of its own here.
    Run,
    /// It has no end.
    Endless,
    /// That cannot be known: why.
    Unknown(String),
    /// It ends.
    Until {
        /// When.
        expires: Time,
        /// Whether runs renew it.
        renews: bool,
        /// How often it can still be used, where that is counted.
        uses_left: Option<u64>,
    },
}
