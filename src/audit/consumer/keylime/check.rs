//! What is wrong with a file of Keylime's before its values mean anything: sections, options nobody reads, comments that became values,
//! numbers that are none.

use super::settings::Settings;
use super::{Part, known, lints, python};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object};
use crate::model::finding::Severity;

/// One option as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) section: String,
    pub(super) option: String,
    pub(super) value: String,
    pub(super) location: Location,
}

/// As many unknown options of one file are told.
const UNKNOWN: usize = 100;

const BOOLEANS: &str = "enable_agent_mtls auto_migrate_db exponential_backoff require_ek_cert ignore_tomtou_errors \
    require_allow_list_signatures extend_token_on_attestation registrar_tls_enabled enable_insecure_payload";
const PORTS: &str = "port tls_port registrar_port verifier_port contact_port zmq_port revocation_notification_port";
const NUMBERS: &str = "quote_interval retry_interval request_timeout max_retries num_workers session_lifetime challenge_lifetime";

fn has(table: &str, option: &str) -> bool {
    table.split_whitespace().any(|known| known == option)
}

/// What the sections of all files together lack, and which of them nobody reads.
pub(super) fn sections(settings: &Settings, findings: &mut HostFindings) {
    if settings.files.is_empty() {
        return;
    }
    let (part, own) = (settings.part, settings.part.name());
    let names: Vec<&String> = settings.sections.keys().collect();
    let missing = !settings.sections.contains_key(own);
    if missing {
        let there = names.iter().map(|name| format!("[{name}]")).collect::<Vec<_>>().join(", ");
        let found = if there.is_empty() { "no section".to_owned() } else { there };
        let location = settings.sections.values().next().cloned().unwrap_or_else(|| Location::file(&settings.main));
        let draft = NewFinding::at(&lints::SECTION_MISSING, part.target(), location).expected(format!("[{own}]")).found(found);
        findings.add(match part {
            Part::Agent => draft.evidence(
                "the agent runs with its defaults: UUID d432fbb3-d2f1-4a97-9ef7-75bd81c00000, 127.0.0.1, no certificate of yours",
            ),
            _ => draft.evidence(format!("keylime_{own} ends with an exception at its start")).breaks(&format!("keylime_{own}")),
        });
    }
    let read = |name: &str| known::has_section(part, name) || known::is_foreign(name);
    for (name, location) in settings.sections.iter().filter(|(name, _)| !missing && !read(name)) {
        let options: Vec<&str> =
            settings.values.keys().filter(|(section, _)| section == name).map(|(_, option)| option.as_str()).take(8).collect();
        let draft =
            draft(part, &lints::SECTION_IGNORED, &format!("[{name}]"), location).expected(format!("[{own}]")).found(format!("[{name}]"));
        findings.add(draft.evidence(format!("nobody reads its options: {}", options.join(", "))));
    }
}

fn draft(part: Part, lint: &'static Lint, option: &str, location: &Location) -> NewFinding {
    let object = Object::File(format!("{}#{option}", location.path));
    NewFinding::new(lint, part.target().at_line(location.line), object).file(location.clone())
}

/// What is wrong with the options of one file.
pub(super) fn options(settings: &Settings, written: &[Written], findings: &mut HostFindings) {
    let part = settings.part;
    let mut strangers = 0;
    for one in written {
        if one.section.is_empty() && strangers < UNKNOWN {
            strangers += 1;
            let draft =
                draft(part, &lints::OPTION_UNKNOWN, &one.option, &one.location).expected(format!("it in section [{}]", part.name()));
            findings.add(draft.found(format!("{} before the first section", one.option)));
        } else if known::has_section(part, &one.section) {
            if known::is_read(part, &one.section, &one.option) {
                value(part, one, findings);
            } else if strangers < UNKNOWN {
                strangers += 1;
                unknown(settings, written, one, findings);
            }
        }
    }
}

fn unknown(settings: &Settings, written: &[Written], one: &Written, findings: &mut HostFindings) {
    let part = settings.part;
    let draft = draft(part, &lints::OPTION_UNKNOWN, &one.option, &one.location).found(one.option.clone());
    // Upstream's own template of 2.5 has nine options of the verifier below [revocations].
    if known::is_read(part, part.name(), &one.option) {
        let here = written.iter().find(|other| other.section == part.name() && other.option == one.option).map(|own| &own.location);
        if let Some(own) = here.or_else(|| settings.get(&one.option).map(|own| &own.location)).filter(|own| **own != one.location) {
            let draft = draft.severity(Severity::Low).expected(format!("it in section [{}] alone", part.name()));
            let draft = draft.found(format!("it in [{}] as well", one.section)).file(own.clone());
            findings
                .add(draft.evidence(format!("the line in [{}] counts, and nobody reads this one", part.name())).remedy("remove the line"));
            return;
        }
        let severity = if known::is_weighty(&one.option) { Severity::High } else { Severity::Low };
        let evidence = format!("Keylime asks for {} in [{}] alone", one.option, part.name());
        let draft = draft.severity(severity).expected(format!("it in section [{}]", part.name())).found(format!("it in [{}]", one.section));
        findings.add(draft.evidence(evidence).remedy(format!("move the line into [{}], above [{}]", part.name(), one.section)));
        return;
    }
    let Some(meant) = known::meant(part, &one.section, &one.option) else {
        findings.add(draft.severity(Severity::Low).expected(format!("an option of [{}]", one.section)));
        return;
    };
    let same = |other: &Written| other.section == one.section && other.option == meant;
    let is_set = written.iter().any(same) || settings.of(&one.section, meant).is_some();
    let severity = match (is_set, known::is_weighty(meant)) {
        (true, _) => Severity::Low,
        (false, true) => Severity::High,
        (false, false) => Severity::Medium,
    };
    let words =
        if is_set { format!("{meant} is set as well, and counts") } else { format!("so {meant} is not set, and its default applies") };
    let remedy = format!("rename {} to {meant}, and restart keylime_{}", one.option, part.name());
    findings.add(draft.severity(severity).expected(meant).evidence(words).remedy(remedy));
}

fn value(part: Part, one: &Written, findings: &mut HostFindings) {
    let option = one.option.as_str();
    let secret = option.contains("password");
    if part != Part::Agent
        && !secret
        && !option.ends_with("_url")
        && let Some(comment) = python::comment(&one.value)
    {
        let strict = has(BOOLEANS, option) || has(PORTS, option) || has(NUMBERS, option) || known::is_weighty(option);
        let severity = if strict { Severity::High } else { Severity::Medium };
        let draft =
            draft(part, &lints::INLINE_COMMENT, option, &one.location).severity(severity).expected("the comment on a line of its own");
        findings.add(draft.found(format!("{option} = {}", one.value)).evidence(format!("\"{comment}\" is part of the value")));
        return;
    }
    let plain = python::plain(&one.value).trim();
    let good = if has(BOOLEANS, option) {
        python::boolean(plain).is_some()
    } else if has(PORTS, option) {
        plain.parse::<u16>().is_ok()
    } else if has(NUMBERS, option) {
        plain.parse::<f64>().is_ok()
    } else {
        true
    };
    if !good {
        let expected = if has(BOOLEANS, option) { "True or False" } else { "a number" };
        let draft = draft(part, &lints::VALUE_INVALID, option, &one.location).expected(expected).found(format!("{option} = {plain}"));
        findings.add(draft.breaks(&format!("keylime_{}", part.name())));
    }
}
