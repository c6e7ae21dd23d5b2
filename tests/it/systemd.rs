//! The drivers that ask systemd, under a real one as PID 1: Debian's nginx.service, a real OpenBao, the binary.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::spire::binary;
use crate::lab::{guest, place, tool};

/// Step, exit code, outcome, proof, error code, nginx.service: what the guest prints when everything is as it should be.
const EXPECTED: [&str; 19] = [
    // A stopped unit is not started for its certificate, and is asked about again without a change.
    "first 0 renewed service-stopped - inactive",
    "sleeping 0 not-due service-stopped - inactive",
    "started 0 settled served - active",
    "forced 0 renewed served - active",
    // A reload that systemd says failed: put back, seen on the wire, settled later.
    "broken 1 rolled-back served reload-failed active",
    "mended 0 settled served - active",
    // `action = "restart"` is a restart: the guest compares main pids, and prints a line more where they are equal.
    "restart 0 renewed served - active",
    "stopped 0 renewed service-stopped - inactive",
    // `start = true` starts it.
    "wanted 0 settled served - active",
    // A failed unit gets one start.
    "failed 0 renewed served - active",
    // One that ends as soon as it was started, with no endpoint: a start that ended well is not taken for a service that runs.
    "dying 1 failed none service-down failed",
    "living 0 settled file - active",
    // One that ends with exit code 0 does not stay either, and is down with its previous files too.
    "ending 1 failed none service-down inactive",
    "staying 0 settled file - active",
    "brief 1 failed file service-down inactive",
    // A oneshot unit is meant to end.
    "once 0 settled file - inactive",
    "remaining 0 renewed file - active",
    // Whether such a unit runs nobody can say.
    "unknown 1 rolled-back none reload-failed active",
    // After a boot: /run is empty, and `restore` asks no service: what was last known of the proof stays.
    "restored 0 restored none - inactive",
];

#[test]
fn units_are_reloaded_restarted_started_once_and_left_alone() {
    let output = match guest::boot("drivers.sh", &[], Duration::from_secs(150)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("drivers under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), EXPECTED, "{}", output.stderr);
}

/// What the guest prints of a certificate of a minute.
const STANDING: [&str; 6] = [
    // Renewed when it was due, a day before the next tick.
    "gen-2",
    "renewed 0 true false false",
    // 5 is notice.
    "journal web 1 commit renewed 5 true",
    "journal web 2 commit renewed 5 true",
    // Nobody renews: seen before it has ended.
    "abandoned 1 false true false",
    "web  overdue",
];

#[test]
fn status_and_the_journal_tell_what_is_so_under_a_real_systemd() {
    let output = match guest::boot("status.sh", &[], Duration::from_secs(200)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("status under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), STANDING, "{}", output.stderr);
}

/// Certificate, step, outcome, proof, error code, state of the unit, what the wire shows of what is published, whether it is the same process.
const SERVICES: [&str; 42] = [
    "openbao first settled served - active agrees new",
    "registrar first settled served - active agrees new",
    "verifier first settled served - active agrees new",
    // OpenBao is never started anew: it would be sealed.
    "openbao happy renewed served - active agrees same",
    "registrar happy renewed served - active agrees new",
    "verifier happy renewed served - active agrees new",
    // It takes a pair that does not fit for a reload that went well, and keeps the old one.
    "openbao refused rolled-back served old-leaf active agrees same",
    "registrar refused rolled-back served unreachable active agrees new",
    "verifier refused rolled-back served unreachable active agrees new",
    "openbao mended settled served - active agrees same",
    "registrar mended settled served - active agrees new",
    "verifier mended settled served - active agrees new",
    "openbao stopped renewed service-stopped - inactive silent new",
    "registrar stopped renewed service-stopped - inactive silent new",
    "verifier stopped renewed service-stopped - inactive silent new",
    "openbao started settled served - active agrees new",
    "registrar started settled served - active agrees new",
    "verifier started settled served - active agrees new",
    // What hangs answers neither with the new nor with the old one, and nothing is said to be proven; a restart mends Keylime.
    "openbao hung rolled-back none unreachable active silent same",
    "registrar hung renewed served - active agrees new",
    "verifier hung renewed served - active agrees new",
    "openbao awake settled served - active agrees same",
    "openbao slow renewed served - active agrees same",
    "registrar slow renewed served - active agrees new",
    "verifier slow renewed served - active agrees new",
    // A restart that claims success, and serves what it served before.
    "registrar lying rolled-back served old-leaf active agrees new",
    "verifier lying rolled-back served old-leaf active agrees new",
    "registrar honest settled served - active agrees new",
    "verifier honest settled served - active agrees new",
    // Nothing that it is given makes it start: down, and said to be. It is started as soon as it can.
    "openbao looping failed none service-down activating silent new",
    "registrar looping failed none service-down failed silent new",
    "verifier looping failed none service-down failed silent new",
    "openbao recovered settled served - active agrees new",
    "registrar recovered settled served - active agrees new",
    "verifier recovered settled served - active agrees new",
    // What was down is sealed once it runs, whoever started it.
    "openbao told server-sealed",
    // The polled agent, which attests after each start.
    "agent stopped renewed service-stopped - inactive silent new",
    "agent started settled served - active agrees new",
    "agent slow renewed served - active agrees new",
    "agent looping failed none service-down activating silent new",
    "agent recovered settled served - active agrees new",
    // Wherever a run is killed while its service is started anew, the next one ends with one generation everywhere.
    "killed 4 times, 0 not whole",
];

/// Keylime's virtual environments.
pub(crate) const KEYLIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/keylime");

/// Keylime's programs, made where they are missing; the guest has no network.
pub(crate) fn keylime() -> Result<(), String> {
    if ["server/bin/keylime_verifier", "agent/.ready"].iter().all(|made| Path::new(KEYLIME).join(made).exists()) {
        return Ok(());
    }
    let state = place::directory("keylime-programs");
    let lab = |what: &str| {
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg(what).arg(&state);
        if what == "up" {
            command.args(["--mode", "pull", "--venvs", KEYLIME])
        } else {
            &mut command
        };
        run(command, Duration::from_secs(400))
    };
    let (up, _) = (lab("up"), lab("down"));
    if up.code == 0 { Ok(()) } else { Err(up.stderr.trim().to_owned()) }
}

#[test]
fn openbao_and_keylime_as_units_take_pairs_up_are_put_back_and_come_through_whatever_happens_to_them() {
    let omens = ["-b".to_owned(), format!("{}:/usr/bin/omens", omens().display())];
    let lab = ["-b".to_owned(), format!("{}:/opt/lab/keylime-lab.sh", tool("keylime-lab.sh").display())];
    let programs = ["-m".to_owned(), format!("{KEYLIME}:{KEYLIME}")];
    let options: Vec<String> = omens.into_iter().chain(lab).chain(programs).collect();
    let variable = format!("KEYLIME={KEYLIME}");
    let booted = keylime().and_then(|()| guest::boot_with("services.sh", &[&variable], Duration::from_secs(600), &options));
    let output = match booted {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("OpenBao and Keylime under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), SERVICES, "{}", output.stderr);
}

/// Certificate, step, outcome, proof, error code, state of the unit, whether it is the same process, and whose data file SPIRE has read.
const SPIRE: [&str; 30] = [
    "server issued renewed service-stopped - inactive new -",
    "agent issued renewed service-stopped - inactive new -",
    "server first settled served - active new live",
    "agent first settled served - active new live",
    // Never started anew: SIGUSR1, and the hash of our data file in the journal.
    "server happy renewed served - active same live",
    "agent happy renewed served - active same live",
    // Put back, and seen to be back.
    "server refused rolled-back served reload-failed active same live",
    "agent refused rolled-back served reload-failed active same live",
    "server mended settled served - active same live",
    "agent mended settled served - active same live",
    "server stopped renewed service-stopped - inactive new gen-3",
    "agent stopped renewed service-stopped - inactive new gen-3",
    "server started settled served - active new live",
    "agent started settled served - active new live",
    // What hangs has read nothing and is not said to have: it goes on with what it has, which is published again.
    "server hung rolled-back served reload-failed active same live",
    "agent hung rolled-back served reload-failed active same live",
    "server awake settled served - active same live",
    "agent awake settled served - active same live",
    "server slow renewed served - active same live",
    "agent slow renewed served - active same live",
    // A signal that is taken, by a plugin whose data are read at the start only.
    "agent inline rolled-back served reload-failed active new live",
    "agent outside settled served - active new live",
    // A signal that is taken and called well done, with the data of before.
    "server lying rolled-back served reload-failed active same live",
    "server honest settled served - active same live",
    "server looping failed none service-down activating new live",
    "agent looping failed none service-down activating new live",
    "server recovered settled served - active new live",
    "agent recovered settled served - active new live",
    // It ends again and again for want of a key: with the key published again it is started, and reads its data without a word in its log.
    "agent healed settled file - active new live",
    "spiffe://funlab.casa/spire/agent/x509pop/cn/spire.funlab.casa",
];

#[test]
fn spire_as_units_configures_its_plugins_is_put_back_and_comes_through_whatever_happens_to_it() {
    let (Some(server), Some(agent)) = (binary("spire-server"), binary("spire-agent")) else {
        return crate::skipped("SPIRE under a real systemd: `tests/lab/peers.sh build spire` builds it where Go is");
    };
    let files = [(omens(), "/usr/bin/omens"), (server, "/usr/local/bin/spire-server"), (agent, "/usr/local/bin/spire-agent")];
    let bind = |(file, inside): (std::path::PathBuf, &str)| ["-b".to_owned(), format!("{}:{inside}", file.display())];
    let options: Vec<String> = files.into_iter().flat_map(bind).collect();
    let output = match guest::boot_with("spire.sh", &[], Duration::from_secs(240), &options) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("SPIRE under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), SPIRE, "{}", output.stderr);
}
