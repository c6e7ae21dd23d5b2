//! What the kernel says of everything that a certificate is judged by, in both trees.

use super::ground::Ground;
use crate::config::service::Rendered;
use crate::config::settings::{Certificate, Owner};
use crate::io::dir::{Dir, Stamp, Tick};
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::plan::outlet::Outlet;

/// What nearly every certificate comes to: room is made once.
const ROOM: usize = 2048;

/// A certificate, and what is expected of its files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    name: &'a CertName,
    live: Generation,
    keep: Keep,
    owner: Owner,
    rendered: &'a [Rendered],
}

impl<'a> Subject<'a> {
    /// `None` where more belongs to it than lies in the two trees under its name, or where equal things differ in their bytes.
    pub(super) fn of(certificate: &'a Certificate, live: Generation, outlet: &'a Outlet) -> Option<Self> {
        let is_plain = certificate.renamed_from.is_none() && outlet.copies.is_empty() && outlet.containers.is_empty();
        let (name, keep) = (certificate.name(), certificate.keep);
        is_plain.then_some(Self { name, live, keep, owner: outlet.owner, rendered: &outlet.rendered })
    }

    /// In the state directory. What comes and goes in a directory, and where a link leads, is known from the directory.
    fn kept(&self) -> [&'static str; 5] {
        [layout::META, layout::CERT, layout::CHAIN, layout::FULLCHAIN, self.keep.file()]
    }

    /// In the run directory.
    fn published(&self) -> impl Iterator<Item = &'a str> {
        let always = [layout::CERT, layout::CHAIN, layout::FULLCHAIN, layout::KEY, layout::COMBINED];
        always.into_iter().chain(self.rendered.iter().map(|file| file.name.as_str()))
    }
}

/// What the kernel said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    /// All of it, and what was expected.
    pub(super) bytes: Vec<u8>,
    /// Who alone may write to it, beside root.
    user: u32,
    /// The last change of any of it.
    newest: Option<Tick>,
}

impl Traces {
    /// `None` where it cannot be asked, or a change might bear a time that says nothing, or none.
    pub(super) fn of(ground: &Ground<'_>, subject: Subject<'_>) -> Option<Self> {
        let Subject { name, live, owner, rendered, .. } = subject;
        let [kept, published] = ground.devices;
        let mut traces = Self { bytes: Vec::with_capacity(ROOM), user: ground.user, newest: None };
        for id in [owner.uid, owner.gid] {
            traces.bytes.push(u8::from(id.is_some()));
            traces.bytes.extend_from_slice(&id.unwrap_or_default().to_be_bytes());
        }
        for file in rendered {
            for part in [file.name.as_bytes(), &file.bytes] {
                traces.bytes.extend_from_slice(&part.len().to_be_bytes());
                traces.bytes.extend_from_slice(part);
            }
        }
        traces.add_tree(ground.certs, kept, name, live, subject.kept().into_iter())?;
        traces.add_tree(ground.run, published, name, live, subject.published())?;
        Some(traces)
    }

    fn add_tree<'f>(
        &mut self,
        root: &Dir,
        device: u64,
        name: &CertName,
        live: Generation,
        files: impl Iterator<Item = &'f str>,
    ) -> Option<()> {
        let mut path = name.to_string();
        self.add(root, device, &path)?;
        path = format!("{path}/{live}");
        self.add(root, device, &path)?;
        path.push('/');
        let length = path.len();
        for file in files {
            path.truncate(length);
            path.push_str(file);
            self.add(root, device, &path)?;
        }
        Some(())
    }

    fn add(&mut self, root: &Dir, device: u64, path: &str) -> Option<()> {
        self.add_stamp(root.stamp(path).ok()?, device)
    }

    fn add_stamp(&mut self, stamp: Option<Stamp>, device: u64) -> Option<()> {
        let Some(stamp) = stamp else {
            self.bytes.push(0);
            return Some(());
        };
        if stamp.device != device || stamp.changed.nanoseconds == 0 || !stamp.is_written_only_by(self.user) {
            return None;
        }
        self.newest = self.newest.max(Some(stamp.changed));
        self.bytes.push(1);
        stamp.append_to(&mut self.bytes);
        Some(())
    }

    /// Whether all of it is older than this tick: whatever changes from then on bears another time.
    pub(super) fn are_older_than(&self, tick: Tick) -> bool {
        self.newest.is_some_and(|newest| newest < tick)
    }
}

#[cfg(test)]
impl Traces {
    /// What the kernel would say of one thing that changed then.
    pub(super) fn for_tests(changed: Tick) -> Self {
        Self { bytes: [changed.seconds, changed.nanoseconds].map(i64::to_be_bytes).concat(), user: 0, newest: Some(changed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_older_than_the_tick_is_relied_on() {
        let here = tempfile::tempdir().unwrap();
        let dir = Dir::open(here.path()).unwrap().unwrap();
        let stamp = Stamp { changed: Tick { seconds: 7, nanoseconds: 5 }, ..dir.own_stamp().unwrap() };
        let traces = |stamps: &[Option<Stamp>]| {
            let mut traces = Traces { bytes: Vec::new(), user: 7, newest: None };
            stamps.iter().try_for_each(|one| traces.add_stamp(*one, stamp.device)).map(|()| traces)
        };
        let at = |seconds, nanoseconds| Tick { seconds, nanoseconds };
        let later = Stamp { changed: at(8, 1), ..stamp };
        for (what, stamps, tick, expected) in [
            ("older", [Some(stamp), None], at(7, 6), true),
            ("of that tick", [Some(stamp), None], at(7, 5), false),
            ("one of them is newer", [Some(later), Some(stamp)], at(8, 0), false),
            ("nothing is there", [None, None], at(8, 0), false),
        ] {
            assert_eq!(traces(&stamps).unwrap().are_older_than(tick), expected, "{what}");
        }
        let by_seconds = Stamp { changed: at(7, 0), ..stamp };
        let elsewhere = Stamp { device: stamp.device + 1, ..stamp };
        assert!(traces(&[Some(stamp), Some(by_seconds)]).is_none() && traces(&[Some(elsewhere)]).is_none());
        let anybodys = Stamp { uid: 8, mode: 0o100_600, ..stamp };
        assert!(traces(&[Some(Stamp { uid: 7, ..anybodys })]).is_some() && traces(&[Some(stamp), Some(anybodys)]).is_none());
        let bytes = |stamps: &[Option<Stamp>]| traces(stamps).unwrap().bytes;
        assert_ne!(bytes(&[Some(stamp)]), bytes(&[Some(later)]));
        assert_ne!(bytes(&[Some(stamp), None]), bytes(&[None, Some(stamp)]));
    }
}
