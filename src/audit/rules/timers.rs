//! Whether what renews by itself does so often enough for the shortest life of a certificate.

use std::time::Duration;

use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::timer::Timer;
use crate::judge::lint::catalogue;
use crate::model::finding::Severity;
use crate::model::span;

catalogue! {
    TOO_SLOW = "timer.too-slow", High, open, "renewals are looked for too seldom for the life of the certificates",
        "run it at least every tenth of the shortest life";
}

/// What renews most often, and how often.
fn most_frequent(timers: &[Timer]) -> Option<(&Timer, Duration)> {
    let renewing = timers.iter().filter(|timer| timer.enabled && timer.renews);
    renewing.filter_map(|timer| timer.period.map(|period| (timer, period))).min_by_key(|(_, period)| *period)
}

/// Says where renewals are looked for too seldom for the shortest life that was seen. Of several that renew, the most frequent counts.
pub fn judge(timers: &[Timer], life: Duration, findings: &mut HostFindings) {
    let Some((timer, period)) = most_frequent(timers) else { return };
    findings.renewals(period);
    // Renewal is due after two thirds: what is left must hold two tries.
    let window = life / 3;
    if period * 2 <= window {
        return;
    }
    let tries = window.as_secs() / period.as_secs().max(1);
    let draft = NewFinding::at(&TOO_SLOW, timer.target.clone(), timer.location.clone())
        .expected(format!("at most {} for certificates that live {}", span::show(life / 10), span::show(life)))
        .found(format!("every {}: {tries} tries between two thirds of the life and its end", span::show(period)));
    findings.add(if tries == 0 { draft } else { draft.severity(Severity::Medium) });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::clock::Time;

    #[test]
    fn every_leaf_says_how_often_what_renews_still_runs() {
        let mut findings = HostFindings::new(crate::audit::report::tests::sample().at, "h");
        findings.chain(crate::audit::report::tests::sample().chains.remove(0));
        let timer = Timer::cron(Path::new("/etc/cron.d/x"), Some(3), Some(Duration::from_secs(900)), "omens renew --all");
        judge(&[timer], Duration::from_secs(86_400), &mut findings);
        // A day is left, in quarters of an hour.
        assert_eq!(findings.into_document().chains[0].renewals_left, Some(96));
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
            let mut findings = HostFindings::new(Time::from_unix(0), "h");
            judge(&timers, life, &mut findings);
            assert_eq!(findings.list().first().map(|finding| finding.severity), expected, "{timers:?}");
        }
    }
}
