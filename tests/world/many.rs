//! Fifty certificates of ten services in one run: each service is asked once, with all of its certificates in place, and rank after rank.

use omens::model::entry::Outcome;

use crate::host::{Cert, Host};
use crate::time_of_day;

/// Services, and certificates of each.
const SERVICES: usize = 10;
const EACH: usize = 5;
/// `c0` to `c49`, five of them for each service.
const NAMES: [&str; SERVICES * EACH] = [
    "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12", "c13", "c14", "c15", "c16", "c17", "c18", "c19",
    "c20", "c21", "c22", "c23", "c24", "c25", "c26", "c27", "c28", "c29", "c30", "c31", "c32", "c33", "c34", "c35", "c36", "c37", "c38",
    "c39", "c40", "c41", "c42", "c43", "c44", "c45", "c46", "c47", "c48", "c49",
];
const ALONE: [&[usize]; SERVICES] = [&[0], &[1], &[2], &[3], &[4], &[5], &[6], &[7], &[8], &[9]];

#[test]
fn each_of_ten_services_is_asked_once_for_its_five_certificates_rank_after_rank() {
    let _turn = time_of_day::take();
    let certs: Vec<Cert> = NAMES.iter().enumerate().map(|(n, name)| Cert { name, daemons: ALONE[n / EACH] }).collect();
    let host = Host::new(&certs);
    // Two of each rank; the last ones are of the last rank, as most services are.
    let rank = |service: usize| u8::try_from(service / 2).unwrap();
    for (number, daemon) in host.daemons.iter().enumerate() {
        *daemon.rank.lock().unwrap() = rank(number);
    }
    assert_eq!(host.renew().exit, 0);
    time_of_day::advance(86_400 * 7 / 10);
    host.events.take();
    let report = host.renew();
    assert_eq!(report.exit, 0);
    assert!(report.certificates.iter().all(|one| one.outcome == Outcome::Renewed), "{report:#?}");
    let events = host.events.take();
    let of = |word: &str| events.iter().filter_map(|event| event.strip_prefix(word)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((of("sign ").len(), of("look ").len()), (NAMES.len(), NAMES.len()), "{events:?}");
    let asked: Vec<usize> = of("ask ").iter().map(|number| number.parse().unwrap()).collect();
    let mut once = asked.clone();
    once.sort_unstable();
    assert_eq!(once, (0..SERVICES).collect::<Vec<_>>(), "{events:?}");
    assert!(asked.iter().map(|number| rank(*number)).is_sorted(), "{asked:?}");
    // What it was asked to read is all there: each serves its five new ones.
    host.check("the end");
    // A rank has ended, looks included, before the next one begins.
    let last_look = |rank_of: u8| {
        events.iter().rposition(|event| event.strip_prefix("look c").is_some_and(|n| rank(n.parse::<usize>().unwrap() / EACH) == rank_of))
    };
    let first_ask =
        |rank_of: u8| events.iter().position(|event| event.strip_prefix("ask ").is_some_and(|n| rank(n.parse().unwrap()) == rank_of));
    for next in 1..rank(SERVICES - 1) + 1 {
        assert!(last_look(next - 1) < first_ask(next), "rank {next}: {events:?}");
    }
}
