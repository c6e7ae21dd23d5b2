//! A machine with a measured boot that attests to a real Keylime and logs in by its TPM at a real OpenBao, both on this side of its network:
//! from power-on to a certificate that nginx serves, through power cuts, a change that nobody planned, and one that somebody did.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::attestation::Keylime;
use crate::identity::auth_role;
use crate::lab::openbao::OpenBao;
use crate::lab::pki::{pem_blocks, sha256};
use crate::lab::place;
use crate::vm::{CARD, Machine, well};

const NAME: &str = "spire.funlab.casa";
/// Of the auth method `cert`.
const ROLE: &str = "of-vm";
/// The guest's way to this side and to nowhere else: it has no route but to its own network.
const NETWORK: [&str; 4] = ["-q", "-netdev user,id=n", "-q", "-device virtio-net-pci,netdev=n"];

/// A step with omens is: what, exit code, certificate, outcome, proof, stage/code of its error, why, warnings.
const ONE: [&str; 14] = [
    // Not enrolled at Keylime: nothing is asked of OpenBao.
    "unknown 1 unknown-agent of  names ",
    "early 1 host-identity blocked - attest/verdict-unknown-agent missing -",
    "enrolled at Keylime",
    "enrolled 0 pass of 2,7 names ",
    "omens-attest: active, pass",
    "enrolled 0 host-identity renewed served -/- missing -",
    "again 0 host-identity kept served -/- fresh -",
    "nothing is left of the login that was used once",
    // By the login of the TPM.
    "renew: success, nginx inactive",
    "settled 0 host-identity not-due served -/- fresh -",
    "settled 0 web settled served -/- unproven -",
    "served gen-1",
    "disk: 1 sealed, 0 key.pem, 0 in clear",
    "slots: empty; 1 storage root key",
];

const TWO: [&str; 9] = [
    "power-on: restore active 0, nginx active",
    "served gen-1, as before the power went",
    "again 0 pass of 2,7 names ",
    "renewed 0 host-identity renewed served -/- forced -",
    "renewed 0 web renewed served -/- forced -",
    "served gen-2, another one",
    "renew 0: the TPM is opened 1 times",
    "served gen-3, another one",
    "slots: empty; 1 storage root key",
];

/// The PCR that changed is named by the sealed key, by Keylime's verdict and by the login, and no other.
const THREE: [&str; 11] = [
    "power-on: restore failed 1, nginx failed",
    "refused 1 host-identity kept served -/- - -",
    "refused 1 web failed - seal/pcr-changed unpublished -",
    "host-identity names ",
    "web names PCR 2",
    "nothing published",
    "changed 1 failed of 2,7 names PCR 2",
    "blocked 1 web blocked served attest/verdict-failed unreadable+unpublished+forced pcr-changed",
    "glass 1 web failed served issue/pcr-changed unreadable+unpublished+forced pcr-changed+break-glass",
    "web names PCR 2",
    "slots: empty; 1 storage root key",
];

const FOUR: [&str; 9] = [
    "power-on: restore active 0, nginx active",
    "served gen-3, as before",
    "before 1 failed of 2,7 names ",
    "enrolled at Keylime",
    "after 0 pass of 2,7 names ",
    "freed 0 host-identity kept served -/- fresh resident",
    "freed 0 web resealed served -/- - -",
    // While the card was in the key did not sign, which stays noted until the next run.
    "unbound 0 host-identity renewed served -/- unreadable+forced pcr-changed",
    "bound to no PCR",
];

const FIVE: [&str; 14] = [
    "power-on: restore active 0, nginx active",
    "served gen-4, as before",
    "changed 1 failed of 2,7 names PCR 2",
    "early 0 host-identity not-due served -/- fresh -",
    "early 0 web not-due served -/- fresh -",
    "enrolled at Keylime",
    "told 0 pass of 2,7 names ",
    "bound 0 host-identity kept served -/- fresh resident",
    "bound 0 web resealed served -/- - -",
    "bound to PCR 2, 7",
    "kept 0 host-identity kept served -/- fresh -",
    "again: restore active 0, nginx active",
    "served gen-5",
    "slots: empty; 1 storage root key",
];

fn settings(bao: &OpenBao, keylime: &Keylime) -> String {
    let inside = |url: &str, name: &str| url.replace("127.0.0.1", name).replace("localhost", name);
    format!(
        "[host]\nname = \"{NAME}\"\n[trust]\nanchor = \"/etc/omens/root.pem\"\nanchor_sha256 = \"{pin}\"\n\
         [openbao]\naddress = \"{address}\"\nmount = \"pki_int\"\n\
         login = [ {{ tpm_identity = {{ certificate = \"host-identity\", mount = \"cert\", role = \"{ROLE}\" }} }} ]\n\
         [tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = PCRS\n\
         [attestation]\nrequired = true\nmax_age = \"10m\"\n\
         by = [ {{ keylime = {{ registrar = \"{registrar}\", verifier = \"{verifier}\", ca = \"/etc/omens/keylime.pem\" }} }} ]\n\
         [[certificate]]\nname = \"host-identity\"\nprofile = \"host-identity\"\nrole = \"hosts-login\"\nttl = \"72h\"\n\
         common_name = \"{NAME}\"\nkey = {{ algorithm = \"ec-p256\", keep = \"resident\" }}\n\
         [[certificate]]\nname = \"web\"\nprofile = \"tls-server\"\nrole = \"web-ec\"\nttl = \"24h\"\ncommon_name = \"{NAME}\"\n\
         key = {{ algorithm = \"ec-p256\", keep = \"sealed\" }}\nreload = [ {{ nginx = {{ unit = \"nginx.service\" }} }} ]\n\
         verify = [ {{ tls = {{ address = \"127.0.0.1:443\", server_name = \"{NAME}\", deadline = \"10s\" }} }} ]\n",
        pin = sha256(&pem_blocks(&bao.root.pem)[0]),
        address = inside(&bao.address(), NAME),
        registrar = inside(keylime.text("/registrar/url"), "registrar.keylime.funlab.casa"),
        verifier = inside(keylime.text("/verifier/url"), "verifier.keylime.funlab.casa"),
    )
}

/// Does at Keylime what its administrator would do with what the machine printed.
struct Administrator {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Administrator {
    fn of(keylime: Keylime, out: PathBuf) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let asked = ends.clone();
        let thread = std::thread::spawn(move || {
            let mut knows = false;
            while !asked.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let Ok(text) = std::fs::read_to_string(out.join("policy.json")) else { continue };
                std::fs::remove_file(out.join("policy.json")).expect("taken");
                let policy: Value = serde_json::from_str(&text).expect("a policy");
                if std::mem::replace(&mut knows, true) {
                    keylime.tenant(&["-c", "delete", "--push-model", "-u", policy["agent_id"].as_str().expect("an id")]);
                }
                keylime.enrol(&policy);
                std::fs::write(out.join("enrolled"), "").expect("told");
            }
        });
        Self { ends, thread: Some(thread) }
    }
}

impl Drop for Administrator {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn options(more: &[String], card: bool) -> Vec<String> {
    let card: &[&str] = if card { &CARD } else { &[] };
    let fixed = NETWORK.iter().chain(card).map(|option| (*option).to_owned());
    fixed.chain(more.iter().cloned()).collect()
}

fn machine_that_attests() -> Result<(), String> {
    let machine = Machine::bare()?;
    let Some(keylime) = Keylime::up_for("device:/dev/null", &["--quote-interval", "2"]) else { return Ok(()) };
    let (bao, out) = (OpenBao::shared(), machine.dir.join("out"));
    auth_role(ROLE, NAME);
    let (role_id, secret_id) = bao.approle("vm-once", &["omens-renew"]);
    for (name, secret) in [("role-id", &role_id), ("secret-id", &secret_id)] {
        place::write_secret(&out.join(name), secret);
    }
    let write = |name: &str, text: &str| std::fs::write(out.join(name), text).expect(name);
    write("lab.json", "{\"state_dir\": \"none\"}");
    write("omens.toml", &settings(bao, &keylime));
    write("root.pem", &bao.root.pem);
    well(Command::new("cp").arg(keylime.text("/ca/root")).arg(out.join("keylime.pem")));
    well(Command::new("cp").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/vm-attested.sh")).arg(&out));
    let _administrator = Administrator::of(keylime, out.clone());
    let signed = || bao.signed("cert-of-vm");

    assert_eq!(machine.boot_with("vm-attested-one.sh", &options(&machine.files(), false))?, ONE);
    assert_eq!((bao.signed("vm-once"), signed()), (1, 1), "the identity by the login that is used once, and the rest by the TPM");
    assert_eq!(machine.boot_with("vm-attested-two.sh", &options(&[], false))?, TWO);
    assert_eq!(signed(), 5);
    let asked = bao.audit().len();
    assert_eq!(machine.boot_with("vm-attested-three.sh", &options(&[], true))?, THREE);
    assert_eq!((bao.audit().len() - asked, signed()), (0, 5), "the login refuses before OpenBao hears of it");
    assert_eq!(machine.boot_with("vm-attested-four.sh", &options(&[], false))?, FOUR);
    assert_eq!(signed(), 6, "a key that was made under PCRs takes a renewal; what is sealed takes none");
    assert_eq!(machine.boot_with("vm-attested-five.sh", &options(&[], true))?, FIVE);
    assert_eq!(signed(), 6, "after the change nothing is signed");
    Ok(())
}

#[test]
fn a_measured_boot_attests_enrols_renews_and_serves_and_a_changed_one_does_not_until_it_is_planned() {
    if let Err(why) = machine_that_attests() {
        crate::skipped(&format!("a machine with a measured boot that attests: {why}"));
    }
}
