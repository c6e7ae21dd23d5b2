//! TPMs that are silent, full or not measured into: each is said by its name and in time, and costs no signature.

use std::time::{Duration, Instant};

use crate::lab::estate::{Cert, Estate};
use crate::lab::impostor::{Impostor, impostor};
use crate::tpm::start;

#[test]
fn what_is_no_tpm_is_given_up_in_time_for_all_certificates_together() {
    for kind in [Impostor::Closes, Impostor::Babbles, Impostor::Silent] {
        let mut estate = Estate::at_openbao().with_tpm(&impostor(kind), &[]).with(Cert::web("plain"));
        estate.certs.extend(["a", "b", "c"].map(|name| Cert::web(name).sealed()));
        estate.write();
        let before = Instant::now();
        let run = estate.renew();
        assert!(before.elapsed() < Duration::from_secs(50), "{kind:?}: {:?}", before.elapsed());
        for name in ["a", "b", "c"] {
            run.expect(1, name, "failed").because(name, "seal/tpm-unreachable");
        }
        run.expect(1, "plain", "renewed");
        assert_eq!(estate.signed(), 1, "{kind:?}");
    }
}

#[test]
fn a_tpm_without_a_free_slot_is_busy_and_says_whose_slots_those_are() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    // As a killed program leaves it where there is no resource manager.
    for number in 0..3 {
        swtpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", &format!("leaked-{number}.ctx")]);
    }
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/tpm-busy");
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap().contains("killed program"), "{run}");
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn a_pcr_that_nobody_measures_into_protects_nothing_and_is_refused() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7, 11]).with(Cert::web("web").sealed());
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/pcr-unmeasured");
    assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("PCR 11"), "{run}");
    assert_eq!(estate.signed(), 0);
}
