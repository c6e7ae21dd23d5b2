//! The logs of a host that a verifier may ask for: the firmware's event log, the IMA list, and when the host was started.

use std::path::{Path, PathBuf};

use crate::io::read;
use crate::model::clock::Time;
use crate::model::tcti::Tcti;

/// The largest log that is read: a measured boot writes some 30 kB, an IMA list grows with what is run.
const LIMIT: u64 = 64 << 20;

/// Where the logs lie.
#[derive(Clone, Debug)]
pub struct Logs {
    uefi: Option<PathBuf>,
    ima: Option<PathBuf>,
}

impl Logs {
    /// The logs that belong to this TPM: the kernel's for its own, none for a software TPM, which measured nothing of this host.
    #[must_use]
    pub fn of(tcti: &Tcti) -> Self {
        let Tcti::Device { path } = tcti else { return Self { uefi: None, ima: None } };
        let number = path.trim_start_matches("/dev/tpmrm");
        let uefi = format!("/sys/kernel/security/tpm{number}/binary_bios_measurements");
        Self { uefi: Some(uefi.into()), ima: Some("/sys/kernel/security/ima/ascii_runtime_measurements".into()) }
    }

    /// Logs in these files.
    #[must_use]
    pub const fn at(uefi: Option<PathBuf>, ima: Option<PathBuf>) -> Self {
        Self { uefi, ima }
    }

    /// The firmware's log as it is; empty where there is none.
    #[must_use]
    pub fn uefi(&self) -> Vec<u8> {
        content(self.uefi.as_deref())
    }

    /// The lines of the IMA list, each with its end; empty where there is none.
    #[must_use]
    pub fn ima(&self) -> String {
        let text = String::from_utf8_lossy(&content(self.ima.as_deref())).into_owned();
        if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }
    }
}

fn content(path: Option<&Path>) -> Vec<u8> {
    path.map_or_else(Vec::new, |path| match read::file(path, LIMIT) {
        Ok(bytes) => bytes,
        Err(why) => {
            tracing::debug!(%why, "a log is left out");
            Vec::new()
        }
    })
}

/// The lines after the first `offset`.
#[must_use]
pub fn lines_from(list: &str, offset: u64) -> String {
    let skipped = list.split_inclusive('\n').take(usize::try_from(offset).unwrap_or(usize::MAX)).map(str::len).sum::<usize>();
    list.get(skipped..).unwrap_or_default().to_owned()
}

/// How many lines there are.
#[must_use]
pub fn line_count(list: &str) -> u64 {
    u64::try_from(list.split_inclusive('\n').count()).unwrap_or(u64::MAX)
}

/// When the host was started: constant until it is started again, whatever becomes of its clock.
#[must_use]
pub fn boot_time() -> Option<Time> {
    let stat = read::file(Path::new("/proc/stat"), LIMIT).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    seconds.trim().parse().ok().map(Time::from_unix)
}

/// How many events a log of the firmware holds (TCG PC Client Platform Firmware Profile §10); as many as could be read where it is damaged.
#[must_use]
pub fn event_count(log: &[u8]) -> u64 {
    let number = |bytes: &[u8], at: usize| -> Option<usize> {
        let bytes = bytes.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    // The first one is in the old form: PCR, type, a SHA-1, a size, data.
    let first = |log: &[u8]| -> Option<usize> { Some(32 + number(log, 28)?) };
    let next = |log: &[u8]| -> Option<usize> {
        let mut at = 12;
        for _ in 0..number(log, 8)?.min(16) {
            let algorithm = u16::from_le_bytes(log.get(at..at + 2)?.try_into().ok()?);
            at += 2 + match algorithm {
                0x0004 => 20,
                0x000b | 0x0012 => 32,
                0x000c => 48,
                0x000d => 64,
                _ => return None,
            };
        }
        Some(at + 4 + number(log, at)?)
    };
    let (mut rest, mut count) = (log, 0_u64);
    loop {
        let length = if count == 0 { first(rest) } else { next(rest) };
        match length.and_then(|length| rest.get(length..)) {
            Some(after) => (rest, count) = (after, count + 1),
            None => return count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_at_its_lines() {
        let list = "10 a\n10 b\n10 c\n";
        assert_eq!((lines_from(list, 0).as_str(), lines_from(list, 2).as_str(), lines_from(list, 3).as_str()), (list, "10 c\n", ""));
        assert_eq!((lines_from(list, 9).as_str(), line_count(list), line_count("")), ("", 3, 0));
    }

    #[test]
    fn the_events_of_a_log_are_counted() {
        let mut log = [&[0_u8; 28][..], &3_u32.to_le_bytes(), b"abc"].concat();
        assert_eq!((event_count(&[]), event_count(&log)), (0, 1));
        for _ in 0..2 {
            let digests = [&[0x0b, 0][..], &[1; 32], &[4, 0], &[2; 20]].concat();
            log.extend([&[0_u8; 8][..], &2_u32.to_le_bytes(), &digests, &2_u32.to_le_bytes(), b"xy"].concat());
        }
        assert_eq!(event_count(&log), 3);
        assert_eq!(event_count(&log[..log.len() - 1]), 2, "one that is cut short counts not");
    }

    #[test]
    fn the_boot_time_is_of_the_past_and_constant() {
        let (one, two) = (boot_time().unwrap(), boot_time().unwrap());
        assert!(one == two && one.unix() > 1_000_000_000, "{one}");
    }
}
