//! Which certificates must be brought out together: those that share a service, directly or through others.

use std::collections::BTreeMap;

use super::Due;
use crate::config::settings::Driver;

/// Splits the due certificates into groups that share no service.
pub(super) fn by_service(due: Vec<Due<'_>>) -> Vec<Vec<Due<'_>>> {
    let drivers: Vec<Vec<Driver>> = due.iter().map(|(certificate, ..)| certificate.reload.clone()).collect();
    let labels = labels(&drivers);
    let mut groups: BTreeMap<usize, Vec<Due<'_>>> = BTreeMap::new();
    for (one, label) in due.into_iter().zip(labels) {
        groups.entry(label).or_default().push(one);
    }
    groups.into_values().collect()
}

/// A number for each member, equal for those that are connected.
fn labels(drivers: &[Vec<Driver>]) -> Vec<usize> {
    let mut labels: Vec<usize> = (0..drivers.len()).collect();
    let mut first_user: BTreeMap<&Driver, usize> = BTreeMap::new();
    for (member, own) in drivers.iter().enumerate() {
        for driver in own {
            let other = *first_user.entry(driver).or_insert(member);
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
    use crate::config::settings::{Nginx, UnitAction};

    #[test]
    fn who_shares_a_service_through_others_is_in_one_group() {
        let unit = |name: &str| Driver::Systemd { unit: name.to_owned(), action: UnitAction::Reload, start: false };
        let nginx = Driver::Nginx(Nginx::Unit("nginx.service".to_owned()));
        let groups = labels(&[vec![unit("a")], vec![], vec![unit("b"), nginx.clone()], vec![unit("b"), unit("a")], vec![], vec![nginx]]);
        assert_eq!(groups[0], groups[3]);
        assert_eq!(groups[2], groups[3]);
        assert_eq!(groups[5], groups[3]);
        assert_ne!(groups[1], groups[4]);
        assert_ne!(groups[1], groups[0]);
    }
}
