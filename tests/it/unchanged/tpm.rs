//! Keys that a TPM keeps: what did not change of them, and what did.

use std::fs;

use super::{Both, flip, noted, said_either_way};
use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::tpm::start;

/// Something that is done to a certificate whose key a TPM keeps in this way, or to the host.
type UnderTpm = (&'static str, &'static str, fn(&Both, &mut Estate));

/// What the settings say of the key from now on.
fn keep(estate: &mut Estate, keep: &str) {
    keep.clone_into(&mut estate.certs[0].keep);
    estate.write();
}

const CHANGES: [UnderTpm; 9] = [
    ("sealed", "a byte of what is sealed", |both, _| flip(&both.kept.join("gen-1/key.sealed"))),
    ("sealed", "a byte of the key in clear", |both, _| flip(&both.published.join("gen-1/key.pem"))),
    ("sealed", "the sealing key is gone", |_, estate| {
        for entry in fs::read_dir(estate.state().join("seal")).unwrap().flatten().filter(|entry| entry.file_name() != "srk.json") {
            fs::remove_file(entry.path()).unwrap();
        }
    }),
    ("sealed", "a key in clear came", |both, _| fs::write(both.kept.join("gen-1/key.pem"), "in clear").unwrap()),
    ("sealed", "the key is to rest in clear", |_, estate| keep(estate, "file")),
    ("file", "the key is to be sealed", |_, estate| keep(estate, "sealed")),
    ("file", "the key is to stay in its TPM", |_, estate| keep(estate, "resident")),
    ("resident", "a byte of a key in its TPM", |both, _| flip(&both.kept.join("gen-1/key.resident"))),
    ("resident", "a byte of what says how to use it", |both, _| flip(&both.published.join("gen-1/key.pem"))),
];

#[test]
fn a_key_under_a_tpm_is_looked_at_as_if_everything_were_read() {
    let Some(swtpm) = start(&[7]) else { return };
    let hostile = Hostile::start();
    for (kept, what, change) in CHANGES {
        // A resident key that is bound to PCRs is not published.
        let pcrs: &[u32] = if kept == "resident" { &[] } else { &[7] };
        let mut estate = hostile.estate().with_tpm(&swtpm.tcti(), pcrs);
        estate.certs = vec![Cert { keep: kept.to_owned(), ..Cert::web("web") }];
        estate.write();
        estate.renew().expect(0, "web", "renewed");
        assert_eq!(noted(&estate).len(), 1, "{what}");
        let before = said_either_way(&estate, what);
        let both = Both { kept: estate.state().join("certs/web"), published: estate.run_dir().join("web") };
        change(&both, &mut estate);
        assert_ne!(said_either_way(&estate, what), before, "{what}");
    }
}
