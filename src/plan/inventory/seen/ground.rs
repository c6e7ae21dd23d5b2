//! What is the same for all certificates of a host, and decides whether a note of an earlier run can be relied on at all.

use std::path::Path;

use crate::io::account::own_user;
use crate::io::dir::Dir;
use crate::io::read;
use crate::plan::inventory::Roots;
use crate::plan::inventory::consumers::foreign;
use crate::plan::inventory::host::Places;

/// Changes with each boot; of the size of a UUID.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const UUID: u64 = 64;

/// What the kernel says of this process.
const OWN_STATUS: &str = "/proc/self/status";

/// Both trees, and what is digested of the host.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    /// `certs` of the state directory.
    pub(super) certs: &'a Dir,
    /// The run directory.
    pub(super) run: &'a Dir,
    /// The file systems of both.
    pub(super) devices: [u64; 2],
    /// Who looks.
    pub(super) user: u32,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Ground<'a> {
    /// `None` where a change might bear no time, or one that says nothing, or where what consumers read cannot be relied on in any case.
    pub(super) fn of(places: &'a Places) -> Option<Self> {
        let (certs, run) = (places.certs.as_ref()?, places.run.as_ref()?);
        if !certs.dates_changes() || !run.dates_changes() {
            return None;
        }
        let roots = Roots { certs: Some(certs), run: Some(run), trust: None };
        if foreign(roots).ok()?.is_some() || certs.told_writable(1).ok()?.is_some() {
            return None;
        }
        let boot = read::file(Path::new(BOOT), UUID).ok().filter(|boot| !boot.is_empty())?;
        // Whom the run directory belongs to as well: it is not foreign.
        let (_, writer, _) = certs.owner().ok()?;
        let is_in_memory = run.is_memory_backed().ok()?;
        let devices = [certs.own_stamp().ok()?.device, run.own_stamp().ok()?.device];
        // What one may read another may not: a shell of root has capabilities that a unit lacks.
        let status = read::file(Path::new(OWN_STATUS), read::LIMIT).ok()?;
        let who = rights(&status)?;
        let text = format!("{} {who:?} {writer} {is_in_memory} {devices:?} ", env!("CARGO_PKG_VERSION"));
        Some(Self { certs, run, devices, user: own_user(), bytes: [text.as_bytes(), &boot].concat() })
    }
}

/// Users, groups and usable capabilities of a process: four lines of its `status` (proc_pid_status(5)). `None` where one is missing.
fn rights(status: &[u8]) -> Option<[&str; 4]> {
    let status = std::str::from_utf8(status).ok()?;
    let line = |start: &str| status.lines().find(|line| line.starts_with(start));
    Some([line("Uid:")?, line("Gid:")?, line("Groups:")?, line("CapEff:")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_is_told_by_user_groups_and_capabilities() {
        let status = "Name:\tomens\nUid:\t0\t0\t0\t0\nGid:\t1\t1\t1\t1\nGroups:\t4 5 \nCapInh:\t01\nCapEff:\t0f\nThreads:\t1\n";
        assert_eq!(rights(status.as_bytes()).unwrap(), ["Uid:\t0\t0\t0\t0", "Gid:\t1\t1\t1\t1", "Groups:\t4 5 ", "CapEff:\t0f"]);
        for line in ["Uid:", "Gid:", "Groups:", "CapEff:"] {
            assert_eq!(rights(status.replace(line, "Other:").as_bytes()), None, "{line}");
        }
        let own = read::file(Path::new(OWN_STATUS), read::LIMIT).unwrap();
        assert!(rights(&own).is_some_and(|[user, ..]| user.contains(&own_user().to_string())));
    }
}
