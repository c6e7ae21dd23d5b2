//! Key stores: one suite over all of them, in files, under a TPM, and one whose keys stay in a device.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ML_DSA_44, ML_DSA_65, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use omens::config::settings::Sealing;
use omens::judge::pair;
use omens::model::clock::Time;
use omens::model::failure::Stage;
use omens::model::key::KeyAlgorithm;
use omens::model::name::{CertName, Generation};
use omens::model::pcr::PcrList;
use omens::model::secret::Material;
use omens::model::tcti::Tcti;
use omens::steps::key::{FileStore, Key, KeyStore, ResidentStore, SealedStore};

use crate::fakes::keys::DeviceStore;
use crate::lab::place;
use crate::tpm::start;

fn web() -> CertName {
    CertName::parse("web").unwrap()
}

fn verify(key: &Key, message: &[u8], signature: &[u8]) {
    let algorithm: &dyn aws_lc_rs::signature::VerificationAlgorithm = match key.handle().algorithm() {
        KeyAlgorithm::EcP256 => &ECDSA_P256_SHA256_ASN1,
        KeyAlgorithm::EcP384 => &ECDSA_P384_SHA384_ASN1,
        KeyAlgorithm::Ed25519 => &ED25519,
        KeyAlgorithm::MlDsa44 => &ML_DSA_44,
        KeyAlgorithm::MlDsa65 => &ML_DSA_65,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(algorithm, pair::subject_public_key(key.spki()).unwrap()).verify(message, signature).expect("its signature");
}

/// What consumers are given, as bytes; and whether that is the key itself.
fn given(key: &Key) -> (Vec<u8>, bool) {
    match key.material().unwrap() {
        Material::Pem(pem) => (pem.to_vec(), true),
        Material::Handle(pem) => (pem.unwrap_or_default(), false),
    }
}

/// What every key store must hold to.
pub fn conformance(store: &dyn KeyStore) {
    conformance_with(
        store,
        &[
            KeyAlgorithm::EcP256,
            KeyAlgorithm::EcP384,
            KeyAlgorithm::Ed25519,
            KeyAlgorithm::MlDsa44,
            KeyAlgorithm::MlDsa65,
            KeyAlgorithm::Rsa2048,
        ],
    );
}

/// The same for a store of keys of these algorithms alone.
fn conformance_with(store: &dyn KeyStore, algorithms: &[KeyAlgorithm]) {
    let (name, generation) = (web(), Generation(3));
    assert_eq!(store.make_ready(Time::from_unix(1_790_000_000)), Ok(None));
    for algorithm in algorithms.iter().copied() {
        let made = store.make(&name, generation, algorithm).unwrap();
        assert_eq!((made.handle().algorithm(), pair::algorithm_of_spki(made.spki())), (algorithm, Ok(algorithm)));
        assert_eq!(made.at_rest().file(), store.file());
        verify(&made, b"a request", &made.handle().sign(b"a request").unwrap());
        assert_ne!(store.make(&name, generation, algorithm).unwrap().spki(), made.spki(), "each key is a new one");

        // The same key comes back, in the same form, and signs.
        let at_rest = made.at_rest().as_bytes();
        let opened = store.open(&name, generation, at_rest).unwrap();
        assert_eq!((opened.spki(), opened.handle().algorithm(), given(&opened)), (made.spki(), algorithm, given(&made)));
        assert_eq!(opened.at_rest().as_bytes(), at_rest);
        assert_eq!(opened.at_rest().published_sha256(), made.at_rest().published_sha256());
        verify(&opened, b"another", &opened.handle().sign(b"another").unwrap());

        // What it gives away is the key, or is not: then nobody can keep it elsewhere.
        let (bytes, is_the_key) = given(&made);
        let own = omens::steps::key::software::SoftwareKey::of_pem(&bytes);
        assert_eq!(own.is_ok(), is_the_key, "{own:?}");
        let next = Generation(4);
        match store.keep(&name, next, &made.material().unwrap()) {
            Ok(kept) => {
                assert!(is_the_key);
                let again = store.open(&name, next, kept.at_rest().as_bytes()).unwrap();
                assert_eq!((again.spki(), given(&again)), (made.spki(), given(&made)));
            }
            Err(why) => assert!(!is_the_key && why.stage == Stage::Seal, "{why:?}"),
        }
        let half = &at_rest[..at_rest.len() / 2];
        for damaged in [&b""[..], b"\xff", b"no key", b"{}", half] {
            let why = store.open(&name, generation, damaged).unwrap_err();
            assert_eq!((why.stage, why.code.as_str()), (Stage::Seal, "blob-damaged"));
            assert!(why.text.contains("web gen-3") && why.hint.is_some(), "{why:?}");
        }
        assert!(!format!("{made:?} {opened:?} {:?}", made.material()).contains("bytes"));
    }
    store.clean().unwrap();
    store.collect().unwrap();
}

fn resident(state: &Path, tcti: &str, pcrs: &[u32]) -> ResidentStore {
    let max_age = Duration::from_secs(7 * 86_400);
    ResidentStore::new(state, Sealing { tcti: Tcti::parse(tcti).unwrap(), pcrs: PcrList::new(pcrs).unwrap(), max_age })
}

fn sealed(state: &Path, tcti: &str, pcrs: &[u32]) -> SealedStore {
    let max_age = Duration::from_secs(7 * 86_400);
    SealedStore::new(state, Sealing { tcti: Tcti::parse(tcti).unwrap(), pcrs: PcrList::new(pcrs).unwrap(), max_age })
}

#[test]
fn every_store_makes_keys_that_sign_and_gives_back_what_it_kept() {
    conformance(&FileStore);
    conformance(&DeviceStore::default());
    let Some(swtpm) = start(&[7]) else { return };
    for pcrs in [&[][..], &[7]] {
        conformance(&sealed(&place::directory("state"), &swtpm.tcti(), pcrs));
        conformance_with(&resident(&place::directory("state"), &swtpm.tcti(), pcrs), &[KeyAlgorithm::EcP256]);
    }
}

#[test]
fn a_sealed_key_is_refused_under_another_name_and_generation() {
    let Some(swtpm) = start(&[]) else { return };
    let stores: [Box<dyn KeyStore>; 2] =
        [Box::new(sealed(&place::directory("state"), &swtpm.tcti(), &[])), Box::new(DeviceStore::default())];
    for store in stores {
        store.make_ready(Time::from_unix(1_790_000_000)).unwrap();
        let made = store.make(&web(), Generation(3), KeyAlgorithm::EcP256).unwrap();
        for (name, generation) in [("web", 4), ("mail", 3)] {
            let other = store.open(&CertName::parse(name).unwrap(), Generation(generation), made.at_rest().as_bytes());
            assert_eq!(other.unwrap_err().code.as_str(), "blob-damaged", "{store:?} {name} {generation}");
        }
    }
}

#[test]
fn without_its_device_a_key_neither_comes_nor_signs() {
    let store = DeviceStore::default();
    let made = store.make(&web(), Generation(1), KeyAlgorithm::EcP256).unwrap();
    store.away(true);
    let failed = [
        store.make_ready(Time::from_unix(0)).unwrap_err(),
        store.make(&web(), Generation(2), KeyAlgorithm::EcP256).unwrap_err(),
        store.open(&web(), Generation(1), made.at_rest().as_bytes()).unwrap_err(),
        made.handle().sign(b"a request").unwrap_err(),
    ];
    assert!(failed.iter().all(|why| why.code.as_str() == "tpm-unreachable"), "{failed:?}");
}
