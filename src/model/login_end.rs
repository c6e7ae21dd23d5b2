//! When a login at an issuer ends, where that is known: noted by the run that learnt it, shown by `status`.

use serde::{Deserialize, Serialize};

use super::clock::Time;

/// The end of one login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginEnd {
    /// The auth method, by its word in the settings.
    pub method: String,
    /// When it ends.
    pub expires: Time,
    /// Whether runs renew it by themselves, so that it has to last until the next one only.
    pub renews: bool,
}

/// `logins.json` of the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// 1.
    pub v: u32,
    /// What the last run that logged in learnt.
    pub logins: Vec<LoginEnd>,
}
