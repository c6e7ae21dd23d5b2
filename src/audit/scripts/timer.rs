//! What runs by itself, of systemd or cron, and whether that is often enough. It must never know certificates: their shortest life is told.

use std::path::Path;
use std::time::Duration;

use super::lints;
use crate::audit::sheet::{Draft, Sheet};
use crate::model::audit::{Place, Target};
use crate::model::finding::Severity;
use crate::model::span;

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
    pub place: Place,
}

impl Timer {
    pub(super) fn cron(path: &Path, line: Option<u32>, period: Option<Duration>, command: &str) -> Self {
        let place = Place { path: path.display().to_string(), line };
        let target = Target::new("cron", path.display().to_string()).at_line(line);
        Self { target, runs: command.to_owned(), period, enabled: true, renews: renews(command), place }
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
    ["certbot", "acme", "lego", "letsencrypt", "dehydrated"].iter().any(|word| text.contains(word))
}

/// What renews most often, and how often.
fn most_frequent(timers: &[Timer]) -> Option<(&Timer, Duration)> {
    let renewing = timers.iter().filter(|timer| timer.enabled && timer.renews);
    renewing.filter_map(|timer| timer.period.map(|period| (timer, period))).min_by_key(|(_, period)| *period)
}

/// Says where renewals are looked for too seldom for the shortest life that was seen. Of several that renew, the most frequent counts.
pub fn judge(timers: &[Timer], life: Duration, sheet: &mut Sheet) {
    let Some((timer, period)) = most_frequent(timers) else { return };
    sheet.renewals(period);
    // Renewal is due after two thirds: what is left must hold two tries.
    let window = life / 3;
    if period * 2 <= window {
        return;
    }
    let tries = window.as_secs() / period.as_secs().max(1);
    let draft = Draft::at(&lints::TOO_SLOW, timer.target.clone(), timer.place.clone())
        .expected(format!("at most {} for certificates that live {}", span::show(life / 10), span::show(life)))
        .found(format!("every {}: {tries} tries between two thirds of the life and its end", span::show(period)));
    sheet.add(if tries == 0 { draft } else { draft.severity(Severity::Medium) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Time;

    #[test]
    fn every_leaf_says_how_often_what_renews_still_runs() {
        let mut sheet = Sheet::new(crate::audit::report::tests::sample().at, "h");
        sheet.chain(crate::audit::report::tests::sample().chains.remove(0));
        let timer = Timer::cron(Path::new("/etc/cron.d/x"), Some(3), Some(Duration::from_secs(900)), "omens renew --all");
        judge(&[timer], Duration::from_secs(86_400), &mut sheet);
        // A day is left, in quarters of an hour.
        assert_eq!(sheet.into_document().chains[0].renewals_left, Some(96));
    }

    #[test]
    fn too_seldom_is_measured_by_the_shortest_life() {
        let hour = |hours: u64| Duration::from_secs(hours * 3600);
        let timer = |period, command: &str| Timer::cron(Path::new("/etc/cron.d/x"), Some(3), Some(period), command);
        for (timers, life, expected) in [
            (vec![timer(hour(24), "/x/renew-certs.sh")], hour(24), Some(Severity::High)),
            (vec![timer(hour(6), "/x/renew-certs.sh")], hour(24), Some(Severity::Medium)),
            (vec![timer(hour(1), "/x/renew-certs.sh")], hour(24), None),
            (vec![timer(hour(24), "/x/renew-certs.sh"), timer(hour(1), "omens renew --all")], hour(24), None),
            (vec![timer(hour(12), "certbot -q renew")], hour(24), None),
            (vec![timer(hour(24), "/x/backup.sh")], hour(24), None),
            (vec![timer(hour(24), "/x/renew-certs.sh")], hour(24 * 90), None),
        ] {
            let mut sheet = Sheet::new(Time::from_unix(0), "h");
            judge(&timers, life, &mut sheet);
            assert_eq!(sheet.findings().first().map(|finding| finding.severity), expected, "{timers:?}");
        }
    }
}
