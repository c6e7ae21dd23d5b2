//! Which certificates must be brought out together: those that share a service, directly or through others; and in which order such groups are.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::Due;
use crate::config::service::{Rank, ServiceId};

/// How many groups of each rank have not ended yet.
pub(super) struct Ranks(watch::Sender<BTreeMap<Rank, usize>>);

impl Ranks {
    /// All groups of a run, by their ranks.
    pub(super) fn of(all: impl Iterator<Item = Rank>) -> Self {
        let mut counts = BTreeMap::new();
        all.for_each(|rank| *counts.entry(rank).or_insert(0) += 1);
        Self(watch::Sender::new(counts))
    }

    /// Returns when every group of a lower rank has ended.
    pub(super) async fn turn_of(&self, rank: Rank) {
        let mut counts = self.0.subscribe();
        // An error would mean that there is nobody left to wait for.
        counts.wait_for(|counts| counts.first_key_value().is_none_or(|(lowest, _)| *lowest >= rank)).await.ok();
    }

    /// A group of this rank has ended.
    pub(super) fn over(&self, rank: Rank) {
        self.0.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&rank) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&rank);
                }
            }
        });
    }
}

/// When a group is rolled out: as early as the first of its services.
pub(super) fn rank(group: &[Due<'_>]) -> Rank {
    group.iter().flat_map(|due| &due.certificate.reload).map(|service| service.rank()).min().unwrap_or_default()
}

/// Splits the due certificates into groups that share no service.
pub(super) fn by_service(due: Vec<Due<'_>>) -> Vec<Vec<Due<'_>>> {
    let services: Vec<BTreeSet<ServiceId>> =
        due.iter().map(|due| due.certificate.reload.iter().map(|service| service.id()).collect()).collect();
    let mut groups: BTreeMap<usize, Vec<Due<'_>>> = BTreeMap::new();
    for (one, label) in due.into_iter().zip(labels(&services)) {
        groups.entry(label).or_default().push(one);
    }
    groups.into_values().collect()
}

/// A number for each member, equal for those that are connected.
fn labels(services: &[BTreeSet<ServiceId>]) -> Vec<usize> {
    let mut labels: Vec<usize> = (0..services.len()).collect();
    let mut first_user: BTreeMap<&ServiceId, usize> = BTreeMap::new();
    for (member, own) in services.iter().enumerate() {
        for service in own {
            let other = *first_user.entry(service).or_insert(member);
            let (a, b) = (labels.get(member).copied(), labels.get(other).copied());
            if let (Some(a), Some(b)) = (a, b)
                && a != b
            {
                labels.iter_mut().filter(|label| **label == a).for_each(|label| *label = b);
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_service_through_others_is_in_one_group() {
        let of = |names: &[&str]| names.iter().map(|name| ServiceId::new("unit", [Some(*name)])).collect::<BTreeSet<_>>();
        let groups = labels(&[of(&["a"]), of(&[]), of(&["b", "nginx"]), of(&["b", "a"]), of(&[]), of(&["nginx"])]);
        assert_eq!(groups[0], groups[3]);
        assert_eq!(groups[2], groups[3]);
        assert_eq!(groups[5], groups[3]);
        assert_ne!(groups[1], groups[4]);
        assert_ne!(groups[1], groups[0]);
    }
}
