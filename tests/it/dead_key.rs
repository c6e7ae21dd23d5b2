//! A key that rests in the TPM and does not sign any more: a run that learns it makes its certificate due, `status` says so, and the next
//! login of the list, or an enrolment, makes a new one. At a real OpenBao with a real software TPM.

use crate::identity::{APPROLE, auth_role, given, host, warned};
use crate::lab::estate::Estate;
use crate::lab::openbao::OpenBao;
use crate::lab::swtpm::Relay;
use crate::tpm::start;

const NAME: &str = "host-identity";

/// Demands that `status` calls it due and not healthy, for this reason.
#[track_caller]
fn is_told_dead(estate: &Estate, why: &str) {
    let status = estate.omens(&["status"]);
    let told = status.cert(NAME);
    assert_eq!((status.code, &told["due"], &told["healthy"]), (1, &true.into(), &false.into()), "{status}");
    let reason = told["reasons"][0].clone();
    assert!(reason["code"] == "unreadable" && reason["text"].as_str().unwrap().contains(why), "{status}");
    assert!(reason["text"].as_str().unwrap().contains("omens enroll"), "{status}");
}

#[track_caller]
fn is_well(estate: &Estate) {
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert(NAME)["healthy"]), (0, &true.into()), "{status}");
}

#[test]
fn a_login_whose_key_does_not_sign_is_due_from_the_run_that_saw_it_until_another_one_is_issued() {
    let Some(swtpm) = start(&[7]) else { return };
    auth_role("of-dead", "git.funlab.casa");
    let mut estate = host("of-dead", "git.funlab.casa", &swtpm.direct(), &[7], APPROLE);
    estate.omens(&["enroll"]).expect(0, NAME, "renewed");
    estate.renew().expect(0, "web", "renewed");
    swtpm.extend(7, "another boot loader");
    // With nothing due the TPM is not opened, so nobody knows.
    let relay = Relay::recording(&swtpm);
    estate.set_tpm(&relay.tcti(), &[7]);
    estate.renew().expect(0, NAME, "not-due");
    is_well(&estate);
    assert_eq!(relay.codes(), Vec::<u32>::new());
    estate.set_tpm(&swtpm.direct(), &[7]);
    // A run for something else is told it by its login, which is passed over.
    let passed = estate.omens(&["renew", "web", "--force"]);
    passed.expect(0, "web", "renewed");
    assert!(warned(&passed, "web", "login-refused").contains("pcr-changed"), "{passed}");
    is_told_dead(&estate, "PCR 7");
    assert_eq!(estate.omens(&["status", "--due", NAME]).code, 0);

    // No other login: it fails, and says what is left. It is not forgotten in between.
    let login = estate.authority.login.clone();
    estate.authority.login = login.replace(APPROLE, "");
    estate.write();
    for _ in 0..2 {
        let alone = estate.renew();
        alone.expect(1, NAME, "failed").because(NAME, "issue/pcr-changed");
        assert!(alone.cert(NAME)["error"]["hint"].as_str().unwrap().contains("omens enroll"), "{alone}");
        is_told_dead(&estate, "PCR 7");
    }
    // The next login of the list makes a new one, by itself.
    estate.authority.login = login;
    estate.write();
    let renewed = estate.renew();
    renewed.expect(0, NAME, "renewed").expect(0, "web", "not-due");
    assert!(warned(&renewed, NAME, "pcr-changed").contains("PCR 7"), "{renewed}");
    is_well(&estate);
    estate.renew().expect(0, NAME, "not-due");
    let mended = estate.omens(&["renew", "web", "--force"]);
    assert_eq!((mended.outcome("web"), warned(&mended, "web", "login-refused").as_str()), ("renewed", ""), "{mended}");
}

#[test]
fn with_another_tpm_a_resident_key_is_gone_and_an_enrolment_makes_a_new_one() {
    let (Some(swtpm), Some(other)) = (start(&[7]), start(&[7])) else { return };
    let bao = OpenBao::shared();
    auth_role("of-cleared", "git.funlab.casa");
    let mut estate = host("of-cleared", "git.funlab.casa", &swtpm.direct(), &[], "");
    let (_, argument) = given(&estate, "token", &bao.token("enrol-first", &["omens-renew"]));
    estate.omens(&["enroll", "--token", &argument]).expect(0, NAME, "renewed");
    estate.renew().expect(0, "web", "renewed");
    is_well(&estate);
    estate.set_tpm(&other.direct(), &[]);
    let adopted = estate.omens(&["reseal", "--new-tpm"]);
    adopted.expect(0, NAME, "kept");
    let gone = warned(&adopted, NAME, "tpm-replaced");
    assert!(gone.contains("is gone with it") && !adopted.stdout.contains("never leaves its TPM"), "{adopted}");
    is_told_dead(&estate, "is gone with it");
    let failed = estate.renew();
    failed.expect(1, NAME, "failed").because(NAME, "issue/tpm-replaced");
    let (_, argument) = given(&estate, "token", &bao.token("enrol-again", &["omens-renew"]));
    estate.omens(&["enroll", "--token", &argument]).expect(0, NAME, "renewed");
    is_well(&estate);
    estate.omens(&["renew", "web", "--force"]).expect(0, "web", "renewed");
}
