//! `state.json` as it is read: known, broken, or of a newer omens. Only reads.

use rustix::io::Errno;

use crate::io::dir::{Buffer, Dir, DiskError};
use crate::model::canonical;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::name::CertName;
use crate::model::state::{self, State};

/// Whether `state.json` could be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateFile {
    /// It could, or there is none.
    #[default]
    Known,
    /// It could not; why. It explains and does not decide, so it is written anew.
    Broken(String),
    /// A newer omens wrote it, in this version: it is left alone, and so is the certificate.
    Newer(u64),
}

impl StateFile {
    /// Why it could not be understood.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Known => None,
            Self::Broken(why) => Some(why.clone()),
            Self::Newer(version) => Some(format!("state.json has version {version}, this build knows {}", state::VERSION)),
        }
    }

    /// The failure of whatever would write it, where a newer omens wrote it.
    ///
    /// # Errors
    /// Stage `plan`, code `state-newer`.
    pub fn demand_ours(&self, name: &CertName) -> Result<(), Failure> {
        match self {
            Self::Newer(_) => {
                let text = format!("{name}: {}", self.problem().unwrap_or_default());
                let hint = "run the newer omens again; nothing of this certificate was touched";
                Err(Failure::new(Stage::Plan, Code::StateNewer, text).hint(hint))
            }
            Self::Known | Self::Broken(_) => Ok(()),
        }
    }
}

pub(super) fn read_state(dir: &Dir, path: &str, buffer: &mut Buffer) -> Result<(State, StateFile), DiskError> {
    let content = match dir.glance(path, buffer) {
        Ok(Some(content)) => content,
        Ok(None) => return Ok((State::default(), StateFile::Known)),
        // A directory, a pipe, a link or megabytes in its place say as little as one that does not parse.
        Err(why) if matches!(why.errno, Errno::NOTSUP | Errno::FBIG | Errno::LOOP) => {
            return Ok((State::default(), StateFile::Broken(why.to_string())));
        }
        Err(why) => return Err(why),
    };
    match serde_json::from_slice::<State>(content.bytes) {
        Ok(state) if state.v == state::VERSION => Ok((state, StateFile::Known)),
        read => {
            let broken = || match &read {
                Ok(state) => format!("it has version {}, this build knows {}", state.v, state::VERSION),
                Err(why) => canonical::unreadable(why, content.bytes.len()),
            };
            // What a newer one wrote may hold what this one does not know.
            let newer = state::newer_version(content.bytes).map(StateFile::Newer);
            Ok((State::default(), newer.unwrap_or_else(|| StateFile::Broken(broken()))))
        }
    }
}
