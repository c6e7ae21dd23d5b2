//! Users and groups by the files of the host that is looked at: another host's directory services are not asked. It must never ask this
//! host's user database.

use std::collections::BTreeMap;

/// Names and numbers of users and groups (passwd(5), group(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<u32, (String, u32)>,
    groups: BTreeMap<u32, (String, Vec<String>)>,
}

impl Accounts {
    /// Reads both files; a line that is none of theirs is left out.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut accounts = Self::default();
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = *fields.as_slice()
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                accounts.users.entry(uid).or_insert((name.to_owned(), gid));
            }
        }
        for line in group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, gid, members] = *fields.as_slice()
                && let Ok(gid) = gid.parse()
            {
                let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
                accounts.groups.entry(gid).or_insert((name.to_owned(), members));
            }
        }
        accounts
    }

    /// A user's name, or its number.
    #[must_use]
    pub fn user(&self, uid: u32) -> String {
        match self.users.get(&uid) {
            Some((name, _)) => name.clone(),
            None if uid == 0 => "root".to_owned(),
            None => uid.to_string(),
        }
    }

    /// A group's name, or its number.
    #[must_use]
    pub fn group(&self, gid: u32) -> String {
        match self.groups.get(&gid) {
            Some((name, _)) => name.clone(),
            None if gid == 0 => "root".to_owned(),
            None => gid.to_string(),
        }
    }

    /// All names of users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.values().map(|(name, _)| name.as_str())
    }

    /// All names of groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.values().map(|(name, _)| name.as_str())
    }

    /// The number of a user given by name or number.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<u32> {
        let known = || self.users.iter().find(|(_, (known, _))| known == name).map(|(uid, _)| *uid);
        name.parse().ok().or_else(known).or_else(|| (name == "root").then_some(0))
    }

    /// The number of a group given by name or number.
    #[must_use]
    pub fn gid(&self, name: &str) -> Option<u32> {
        let known = || self.groups.iter().find(|(_, (known, _))| known == name).map(|(gid, _)| *gid);
        name.parse().ok().or_else(known).or_else(|| (name == "root").then_some(0))
    }

    /// Everybody in a group: those it lists and those whose own group it is.
    #[must_use]
    pub fn members(&self, gid: u32) -> Vec<String> {
        let listed = self.groups.get(&gid).map(|(_, members)| members.clone()).unwrap_or_default();
        let own = self.users.values().filter(|(_, own)| *own == gid).map(|(name, _)| name.clone());
        let mut all: Vec<String> = listed.into_iter().chain(own).collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_lines_are_left_out_and_a_group_has_all_its_members() {
        let accounts = Accounts::parse("a:x:1:5::/:\nbroken\nb:x:two:5::/:\nspire:x:3:5:::\n", "g:x:5:zoe,a\nh:x:6:\nnonsense\n");
        assert_eq!(accounts.members(5), ["a", "spire", "zoe"]);
        assert_eq!((accounts.members(6), accounts.user(2), accounts.group(9)), (vec![], "2".to_owned(), "9".to_owned()));
        assert_eq!((accounts.gid("h"), accounts.gid("root"), accounts.uid("17"), accounts.uid("x")), (Some(6), Some(0), Some(17), None));
    }
}
