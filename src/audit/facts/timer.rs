//! What runs by itself, of systemd or cron, and how often.

use std::path::Path;
use std::time::Duration;

use crate::model::audit::{Location, Target};

/// Something that runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The unit, or the cron table.
    pub target: Target,
    /// The unit that it starts, or the command.
    pub runs: String,
    /// The longest time between two runs; `None` where it is not known.
    pub period: Option<Duration>,
    /// Whether it will run at all.
    pub enabled: bool,
    /// Whether what it runs renews certificates of this estate's own authority.
    pub renews: bool,
    /// Where the period is said.
    pub location: Location,
}

impl Timer {
    pub(in crate::audit) fn cron(path: &Path, line: Option<u32>, period: Option<Duration>, command: &str) -> Self {
        let location = Location { path: path.display().to_string(), line };
        let target = Target::new("cron", path.display().to_string()).at_line(line);
        Self { target, runs: command.to_owned(), period, enabled: true, renews: renews(command), location }
    }
}

/// Whether a command or a name says that it renews certificates; public authorities' clients have a life of their own.
#[must_use]
pub fn renews(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let public = is_public(&text);
    let ours = text.contains("omens") && !text.contains("restore");
    let verbs = ["renew", "rotat", "issue", "refresh", "update", "fetch", "get"];
    let nouns = ["cert", "tls", "pki", "ssl"];
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    !public && (ours || text.contains("renew") || text.contains("pki/") || text.contains("pki_int/") || (has(&verbs) && has(&nouns)))
}

/// Whether it is a client of a public authority.
#[must_use]
pub fn is_public(text: &str) -> bool {
    ["certbot", "acme", "lego", "letsencrypt", "dehydrated", "getssl", "simp_le"].iter().any(|word| text.contains(word))
}
