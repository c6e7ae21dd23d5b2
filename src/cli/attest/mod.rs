//! `attest`: this host as the attestation agent of its verifier, once or until a signal, and what an administrator needs to enrol it.

mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::arguments::{Attest, Command};
use super::exit::{FAILED, OK};
use super::session::Session;
use super::style::Style;
use crate::config::settings::Settings;
use crate::io::runtime::runtime;
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::Unanswered;
use crate::model::anchor::{Fingerprint, hex};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Warning};
use crate::model::pcr::{PcrList, PcrValues};
use crate::model::report::RunError;
use crate::model::verdict::{Appraised, Conclusion, Verdict};
use crate::steps::attest::keylime::{Attestatum, Identity, KeylimeAttester};
use crate::steps::attest::{self, LIMIT};

/// PCRs that firmware and boot loader measure into.
const BOOT: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// PCRs that Keylime takes in no TPM policy: it compares them itself.
const NOT_IN_A_POLICY: [u32; 2] = [10, 16];

/// `attest --once --json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    host: &'a str,
    agent_id: Option<&'a str>,
    ek_sha256: Option<&'a Fingerprint>,
    ak_name: Option<String>,
    registered: bool,
    verdict: Shown<'a>,
    next: Option<u64>,
    warnings: Vec<Warning>,
}

/// A verdict, or in its place why the TPM gave no evidence.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    code: &'static str,
    text: &'a str,
    hint: Option<&'a str>,
    at: Time,
    last_successful: Option<Time>,
    attested: Appraised,
}

/// `attest --print-policy --json`.
#[derive(Debug, Serialize)]
struct Policy<'a> {
    schema: &'static str,
    host: &'a str,
    agent_id: &'a str,
    ek_sha256: &'a Fingerprint,
    ak_name: String,
    registered: bool,
    tpm_policy: BTreeMap<u32, [String; 1]>,
    /// PCRs of it into which nothing was ever measured.
    unmeasured: Vec<u32>,
    command: String,
}

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Attest) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => Arc::new(settings),
        Err(code) => return code,
    };
    let tpm = settings.sealing.as_ref().map(|sealing| Connection::new(&sealing.tcti, Unanswered::default()));
    let Some(attester) = attest::keylime::of(&settings, session.clock, tpm) else {
        let error = RunError {
            code: Code::Missing,
            text: "the settings name no attester".to_owned(),
            hint: Some(
                "add [attestation] with by = [ { keylime = { registrar = \"https://…:8891\", verifier = \"https://…:8881\" } } ]"
                    .to_owned(),
            ),
        };
        return session.refuse(command, error);
    };
    if arguments.print_policy {
        return print_policy(session, command, &settings, &attester, arguments.pcrs.as_deref());
    }
    if arguments.once { once(session, command, &settings, &attester) } else { serve::run(session, command, &settings, &attester) }
}

fn once(session: &mut Session<'_>, command: &Command, settings: &Settings, attester: &KeylimeAttester) -> u8 {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(failure) => return refuse(session, command, failure),
    };
    let until = session.clock.instant() + LIMIT;
    let ended = runtime.block_on(attester.attest_anew(until));
    runtime.shutdown_background();
    show(session, settings, &ended)
}

/// Prints what came of an attestation, and gives the exit code of `--once`.
fn show(session: &mut Session<'_>, settings: &Settings, ended: &Attestatum) -> u8 {
    let passed = ended.result.as_ref().is_ok_and(|verdict| verdict.conclusion == Conclusion::Pass);
    let exit = if passed { OK } else { FAILED };
    let weak = ended.result.as_ref().ok().and_then(attest::weak);
    let shown = match &ended.result {
        Ok(verdict) => of_verdict(verdict),
        Err(failure) => of_failure(failure, session.clock.now()),
    };
    let identity = ended.identity.as_ref();
    if session.global.json {
        let document = Document {
            schema: "omens.attest/1",
            host: &settings.host,
            agent_id: identity.map(|identity| identity.agent_id.as_str()),
            ek_sha256: identity.map(|identity| &identity.ek_sha256),
            ak_name: identity.map(|identity| hex(&identity.ak.name)),
            registered: identity.is_some_and(|identity| identity.registered),
            verdict: shown,
            next: ended.next,
            warnings: weak.into_iter().collect(),
        };
        session.ended(&document, exit);
    } else {
        let text = text(session.style, &shown, identity, weak.as_ref());
        session.output.text(&text);
    }
    exit
}

fn of_verdict(verdict: &Verdict) -> Shown<'_> {
    Shown {
        code: verdict.conclusion.word(),
        text: &verdict.text,
        hint: verdict.hint.as_deref(),
        at: verdict.at,
        last_successful: verdict.last_successful,
        attested: verdict.attested.clone(),
    }
}

fn of_failure(failure: &Failure, at: Time) -> Shown<'_> {
    let (code, text, hint) = (failure.code.as_str(), failure.text.as_str(), failure.hint.as_deref());
    Shown { code, text, hint, at, last_successful: None, attested: Appraised::default() }
}

fn text(style: Style, shown: &Shown<'_>, identity: Option<&Identity>, weak: Option<&Warning>) -> String {
    let word = if shown.code == Conclusion::Pass.word() { style.good(shown.code) } else { style.bad(shown.code) };
    let agent = identity.map_or_else(String::new, |identity| format!("  agent {}", identity.agent_id));
    let mut text = format!("attest: {word}{agent}\n  {}\n", shown.text);
    if let Some(hint) = shown.hint {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    if let Some(warning) = weak {
        text.push_str(&format!("  {}: {}\n", warning.code, warning.text));
    }
    text
}

fn print_policy(session: &mut Session<'_>, command: &Command, settings: &Settings, attester: &KeylimeAttester, pcrs: Option<&[u32]>) -> u8 {
    let configured = settings.sealing.as_ref().map(|sealing| sealing.pcrs.numbers()).filter(|pcrs| !pcrs.is_empty());
    let numbers = pcrs.or(configured).unwrap_or(&BOOT);
    let wrong = match PcrList::new(numbers) {
        Ok(list) if list.is_empty() => "a policy over no PCR compares nothing".to_owned(),
        Ok(list) => match list.numbers().iter().find(|number| NOT_IN_A_POLICY.contains(number)) {
            Some(number) => format!("Keylime takes no PCR {number} in a TPM policy: it compares it itself"),
            None => return print(session, command, settings, attester, list),
        },
        Err(why) => why,
    };
    let hint = Some("name PCRs that a boot measures into, such as --pcrs 0,4,7".to_owned());
    session.refuse(command, RunError { code: Code::Usage, text: wrong, hint })
}

fn print(session: &mut Session<'_>, command: &Command, settings: &Settings, attester: &KeylimeAttester, list: PcrList) -> u8 {
    let until = session.clock.instant() + LIMIT;
    let identified = runtime().and_then(|runtime| {
        let identified = runtime.block_on(attester.identify(list, until));
        runtime.shutdown_background();
        identified
    });
    let (identity, values) = match identified {
        Ok(identified) => identified,
        Err(failure) => return refuse(session, command, failure),
    };
    let tpm_policy = named(&values);
    let policy = serde_json::to_string(&tpm_policy).unwrap_or_default();
    let enrol = format!("keylime_tenant -c add --push-model -u {} --tpm_policy '{policy}'", identity.agent_id);
    let unmeasured = values.unmeasured();
    if session.global.json {
        let document = Policy {
            schema: "omens.attest-policy/1",
            host: &settings.host,
            agent_id: &identity.agent_id,
            ek_sha256: &identity.ek_sha256,
            ak_name: hex(&identity.ak.name),
            registered: identity.registered,
            tpm_policy,
            unmeasured,
            command: enrol,
        };
        session.ended(&document, OK);
    } else {
        let them = if unmeasured.len() == 1 { "it" } else { "them" };
        let note = if unmeasured.is_empty() {
            String::new()
        } else {
            format!("# {}: nothing was ever measured into {them}\n", crate::model::pcr::named(&unmeasured))
        };
        let unregistered = if identity.registered { "" } else { "# not registered yet: `omens attest --once` does that\n" };
        let text = format!(
            "# agent {}\n# attestation key {}\n{note}{unregistered}# for an administrator of Keylime:\n{enrol}\n",
            identity.agent_id,
            hex(&identity.ak.name)
        );
        session.output.text(&text);
    }
    OK
}

fn named(values: &PcrValues) -> BTreeMap<u32, [String; 1]> {
    values.list.numbers().iter().copied().zip(values.values.iter().map(|value| [hex(&value.0)])).collect()
}

fn refuse(session: &mut Session<'_>, command: &Command, failure: Failure) -> u8 {
    // The settings were right: what was wanted could not be done.
    session.refuse_with(command, RunError { code: failure.code, text: failure.text, hint: failure.hint }, FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure::Stage;

    #[test]
    fn what_to_do_is_said_as_a_hint() {
        let failure = Failure::new(Stage::Attest, Code::Unreachable, "nobody answers").hint("look at the verifier");
        let shown = of_failure(&failure, Time::from_unix(1_800_000_000));
        assert_eq!(text(Style::PLAIN, &shown, None, None), "attest: unreachable\n  nobody answers\n  hint: look at the verifier\n");
    }
}
