//! What a service writes into its log from a moment on: a file, or the journal of its unit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::runs::Runs;
use crate::io::process::Call;
use crate::io::read;
use crate::model::text;

/// What of a log is read.
const LOG: u64 = 4 * 1024 * 1024;
/// What of it is read of before that moment: bytes of a file, lines of the journal.
const BEFORE: u64 = 256 * 1024;
const LINES: &str = "1000";
/// How long the journal may take.
const JOURNAL: Duration = Duration::from_secs(10);

/// Where a service logs to, and how far that was read.
#[derive(Debug)]
pub(super) enum Log {
    File { path: PathBuf, offset: u64 },
    Journal { unit: String, cursor: String },
    Unseen(String),
}

impl Log {
    /// Its end, as it is now.
    pub(super) async fn end(file: Option<&Path>, runs: &Runs) -> Self {
        if let Some(path) = file {
            return match read::length(path) {
                Ok(offset) => Self::File { path: path.to_path_buf(), offset },
                Err(why) => Self::Unseen(why.to_string()),
            };
        }
        let Some(unit) = runs.unit() else { return Self::Unseen("the settings name no log".to_owned()) };
        let said = journal(&["-n", "0", "--show-cursor", "-u", unit]).await;
        let cursor = said.as_ref().ok().and_then(|said| said.lines().find_map(|line| line.strip_prefix("-- cursor: ")));
        match cursor {
            Some(cursor) => Self::Journal { unit: unit.to_owned(), cursor: cursor.to_owned() },
            None => Self::Unseen(said.err().unwrap_or_else(|| "the journal has no cursor".to_owned())),
        }
    }

    /// Whether one of these words stands in what it wrote last before that moment.
    pub(super) async fn has_said(&self, words: &[&str]) -> bool {
        let text = match self {
            Self::File { path, offset } => {
                let from = offset.saturating_sub(BEFORE);
                String::from_utf8_lossy(&read::from(path, from, offset - from).unwrap_or_default()).into_owned()
            }
            Self::Journal { unit, .. } => journal(&["-u", unit, "-n", LINES]).await.unwrap_or_default(),
            Self::Unseen(_) => String::new(),
        };
        words.iter().any(|word| text.contains(word))
    }

    pub(super) async fn lines(&self) -> String {
        match self {
            Self::File { path, offset } => String::from_utf8_lossy(&read::from(path, *offset, LOG).unwrap_or_default()).into_owned(),
            Self::Journal { unit, cursor } => journal(&["-u", unit, "--after-cursor", cursor]).await.unwrap_or_default(),
            Self::Unseen(_) => String::new(),
        }
    }
}

async fn journal(arguments: &[&str]) -> Result<String, String> {
    let all = ["-q", "-o", "cat", "--no-pager"].iter().chain(arguments).map(Into::into).collect();
    let call = Call { program: "journalctl".into(), arguments: all, limit: JOURNAL };
    let ended = call.run(usize::try_from(LOG).unwrap_or(usize::MAX)).await.map_err(|why| why.to_string())?;
    if ended.code == Some(0) { Ok(ended.stdout) } else { Err(text::one_line(&ended.stderr, 200)) }
}
