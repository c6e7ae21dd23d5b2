//! Keys sealed to a software TPM: what they cost a run of renewals, and what a boot costs.

use std::time::Duration;

use crate::lab::estate::{Cert, Estate};
use crate::lab::openbao::{NAMES, OpenBao};
use crate::lab::swtpm::{CC_UNSEAL, Relay, Swtpm, missing};
use crate::measure::{Cost, measure, median, ms};
use crate::{CLIENT, ROUNDS, SERVER, bare, beside, cores, figure, part, pin, rate, spread, times};

const RENEWALS: usize = 200;
const BOOT: usize = 50;

fn host(bao: &OpenBao, tcti: &str, count: usize, sealed: bool) -> Estate {
    let mut estate = Estate::at(bao).with_tpm(tcti, &[7]);
    let one = |n: usize| Cert { common_name: NAMES[n % NAMES.len()].into(), ..Cert::web(&format!("c{n}")) };
    estate.certs = (0..count).map(|n| if sealed { one(n).sealed() } else { one(n) }).collect();
    estate.write();
    estate
}

pub fn sealed(bao: &OpenBao) {
    part(&format!("{RENEWALS} P-256 certificates with keys sealed to a TPM (swtpm), signatures per second"));
    if let Some(package) = missing() {
        return println!("*** {package} is not installed: nothing about sealed keys was measured");
    }
    let swtpm = Swtpm::start(&[7]);
    renewals(bao, &swtpm);
    boot(bao, &swtpm);
}

fn renewals(bao: &OpenBao, swtpm: &Swtpm) {
    let estate = host(bao, &swtpm.direct(), RENEWALS, true);
    let own = estate.command(&["renew", "--all", "--force"]);
    let token = bao.token("bare-sealed", &["omens-renew"]);
    let bare = bare::Bare::new(bao, &token);
    measure(&own, None);
    if cores() >= 2 {
        pin(bao.pid(), &SERVER.to_string());
        pin(swtpm.pid(), &CLIENT.to_string());
        let (mut ours, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let before = bao.signed(&estate.login);
            let (b, o) = (bare.rate(RENEWALS, Some(CLIENT)), rate(RENEWALS, measure(&own, Some(CLIENT)).wall));
            assert_eq!(bao.signed(&estate.login) - before, RENEWALS, "signing requests of round {round}");
            ours.push(o);
            bares.push(b);
            ratios.push(o / b);
        }
        beside(&format!("bare loop, own core, {ROUNDS} rounds"), &spread(&bares));
        let ratio = median(&ratios);
        let found = format!("{} = {:.0} %", spread(&ours), ratio * 100.0);
        figure("omens renew --all --force, with swtpm on one core", &found, "at least 80 % of it", ratio >= 0.8);
        pin(bao.pid(), &format!("0-{}", cores() - 1));
        pin(swtpm.pid(), &format!("0-{}", cores() - 1));
    } else {
        println!("*** one core only: server and client cannot be kept apart");
    }
    let counts = [1, 10, RENEWALS].map(|count| {
        let relay = Relay::recording(swtpm);
        let estate = host(bao, &relay.tcti(), count, true);
        assert_eq!(estate.renew().code, 0);
        relay.commands();
        assert_eq!(estate.force().code, 0);
        relay.commands().len()
    });
    let same = counts.iter().all(|count| *count == counts[0]);
    let found = counts.map(|count| count.to_string()).join(", ");
    figure(&format!("TPM commands of a run with 1, 10 and {RENEWALS} renewals"), &found, "the same", same);
}

/// After a boot the run directory is empty; interleaved with the same host without sealing.
fn boot(bao: &OpenBao, swtpm: &Swtpm) {
    part(&format!("restore of {BOOT} certificates after a boot (median of 20)"));
    let (with, without) = (host(bao, &swtpm.direct(), BOOT, true), host(bao, &swtpm.direct(), BOOT, false));
    for estate in [&with, &without] {
        assert_eq!(estate.renew().code, 0);
    }
    let (mut sealed, mut files): (Vec<Cost>, Vec<Cost>) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        for (estate, costs) in [(&with, &mut sealed), (&without, &mut files)] {
            empty(estate);
            costs.push(measure(&estate.command(&["restore"]), None));
        }
    }
    let relay = Relay::recording(swtpm);
    let mut counted = with;
    counted.set_tpm(&relay.tcti(), &[7]);
    empty(&counted);
    assert_eq!(counted.omens(&["restore"]).code, 0);
    let codes = relay.codes();
    let unseals = codes.iter().filter(|code| **code == CC_UNSEAL).count();
    figure("unseals", &format!("{unseals} of {} TPM commands", codes.len()), "one", unseals == 1);
    let (sealed, files): (Duration, Duration) = (times(&sealed, |c| c.wall), times(&files, |c| c.wall));
    beside("omens restore, sealed keys, wall", &ms(sealed));
    beside("omens restore, keys in files, wall", &ms(files));
}

fn empty(estate: &Estate) {
    for entry in std::fs::read_dir(estate.run_dir()).expect("the run directory").flatten() {
        std::fs::remove_dir_all(entry.path()).expect("remove");
    }
}
