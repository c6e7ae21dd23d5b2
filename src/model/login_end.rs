//! When a login at an issuer ends, as far as that is known: noted by the run that learnt it, shown by `status`.

use std::collections::BTreeMap;

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
    /// When that was learnt, by auth method.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learnt: BTreeMap<String, Time>,
}

impl Logins {
    /// Nothing yet.
    #[must_use]
    pub fn none() -> Self {
        Self { v: 1, ..Self::default() }
    }

    /// Adds what was learnt of one login. Of one that is made anew for each run there is nothing to learn.
    pub fn add(&mut self, method: &str, lasts: Lasts, at: Time) {
        let method = method.to_owned();
        if lasts != Lasts::Run {
            self.learnt.insert(method.clone(), at);
        }
        match lasts {
            Lasts::Run => {}
            Lasts::Endless => self.endless.push(method),
            Lasts::Unknown(why) => self.unknown.push(UnknownEnd { method, why }),
            Lasts::Until { expires, renews, uses_left } => self.logins.push(LoginEnd { method, expires, renews, uses_left }),
        }
    }

    /// This, and what was learnt before of other auth methods.
    #[must_use]
    pub fn after(&self, before: Self) -> Self {
        let is_old = |method: &String| !self.learnt.contains_key(method);
        let mut all = self.clone();
        all.logins.extend(before.logins.into_iter().filter(|login| is_old(&login.method)));
        all.unknown.extend(before.unknown.into_iter().filter(|login| is_old(&login.method)));
        all.endless.extend(before.endless.into_iter().filter(is_old));
        all.learnt.extend(before.learnt.into_iter().filter(|(method, _)| is_old(method)));
        all
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_learns_of_the_logins_that_it_made_and_of_no_other() {
        let at = |hour: i64| Time::from_unix(1_800_000_000 + hour * 3600);
        let until = |hour| Lasts::Until { expires: at(hour), renews: false, uses_left: None };
        let mut before = Logins::none();
        before.add("approle", until(10), at(0));
        before.add("token", Lasts::Endless, at(0));
        let mut run = Logins::none();
        run.add("token", until(5), at(1));
        run.add("cert", Lasts::Run, at(1));
        let all = run.after(before.clone());
        let ends: Vec<(&str, Time)> = all.logins.iter().map(|login| (login.method.as_str(), login.expires)).collect();
        assert_eq!((ends, all.endless.len()), (vec![("token", at(5)), ("approle", at(10))], 0));
        assert_eq!(all.learnt.into_iter().collect::<Vec<_>>(), [("approle".to_owned(), at(0)), ("token".to_owned(), at(1))]);
        assert_eq!(Logins::none().after(before.clone()), before, "a run that did not log in learnt nothing");
    }
}
