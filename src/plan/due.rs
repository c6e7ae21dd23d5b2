//! When a certificate is due: at a fraction of its lifetime, the same on every run, spread over hosts and certificates.
//! It must never look at what remains of a lifetime, which starves after restarts
//! ([Renewing by what remains](crate::plan#renewing-by-what-remains)).

use aws_lc_rs::digest;

use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Time;
use crate::model::name::CertName;
use crate::model::renew_at::RenewAt;

/// The jitter is below this part of the lifetime.
const JITTER: f64 = 0.05;

/// The share of the lifetime, in [0, 0.05), by which this certificate on this host is renewed earlier.
#[must_use]
pub fn jitter(host: &str, name: &CertName) -> f64 {
    let digest = digest::digest(&digest::SHA256, format!("omens/jitter/v1\0{host}\0{name}").as_bytes());
    let high = digest.as_ref().iter().take(4).fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
    JITTER * f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

/// What decides when a certificate is due.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// `host.name`, and the certificate's: they decide how much earlier.
    pub host: &'a str,
    /// See above.
    pub name: &'a CertName,
    /// When in its life.
    pub at: RenewAt,
}

impl<'a> Renewal<'a> {
    /// As the settings have it.
    #[must_use]
    pub fn of(settings: &'a Settings, certificate: &'a Certificate) -> Self {
        Self { host: &settings.host, name: certificate.name(), at: certificate.renew_at }
    }

    /// When a certificate with this validity is due.
    #[must_use]
    pub fn due_at(&self, not_before: Time, not_after: Time) -> Time {
        let lifetime = not_after.since(not_before).max(0);
        let part = self.at.part(lifetime) - jitter(self.host, self.name);
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "seconds of a lifetime are far below 2^52")]
        let seconds = (lifetime as f64 * part) as i64;
        not_before.plus(seconds.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CertName {
        CertName::parse(text).unwrap()
    }

    #[test]
    fn jitter_is_stable_and_spread_over_the_window() {
        assert!((jitter("h", &name("a")) - jitter("h", &name("a"))).abs() < f64::EPSILON);
        let mut quarters = [0_u32; 4];
        for host in 0..1000 {
            let share = jitter(&format!("host-{host}"), &name("web")) / JITTER;
            assert!((0.0..1.0).contains(&share));
            quarters[(share * 4.0) as usize] += 1;
        }
        assert!(quarters.iter().all(|n| (180..320).contains(n)), "{quarters:?}");
    }

    #[test]
    fn every_lifetime_is_due_at_the_same_fraction() {
        let start = Time::from_unix(1_800_000_000);
        let half = RenewAt::share(0.5).unwrap();
        for (at, share) in [(RenewAt::Usual, 0.667), (half, 0.5)] {
            for lifetime in [3600, 86_400, 90 * 86_400] {
                let renewal = Renewal { host: "h", name: &name("a"), at };
                let due = renewal.due_at(start, start.plus(lifetime));
                let fraction = due.since(start) as f64 / lifetime as f64;
                assert!((fraction - (share - jitter("h", &name("a")))).abs() < 0.001, "{fraction}");
            }
        }
    }
}
