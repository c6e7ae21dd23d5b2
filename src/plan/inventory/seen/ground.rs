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

/// Both trees, and what is digested of the host.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    /// `certs` of the state directory.
    pub(super) certs: &'a Dir,
    /// The run directory.
    pub(super) run: &'a Dir,
    /// The file systems of both.
    pub(super) devices: [u64; 2],
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
        let (_, ours, _) = certs.owner().ok()?;
        let (_, writer, _) = run.owner().ok().filter(|(_, uid, _)| *uid == ours)?;
        let is_in_memory = run.is_memory_backed().ok()?;
        let devices = [certs.own_stamp().ok()?.device, run.own_stamp().ok()?.device];
        let text = format!("{} {} {writer} {is_in_memory} {devices:?} ", env!("CARGO_PKG_VERSION"), own_user());
        Some(Self { certs, run, devices, bytes: [text.as_bytes(), &boot].concat() })
    }
}
