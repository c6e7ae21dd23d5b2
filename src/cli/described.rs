//! The JSON schemas of all documents, by name.

/// A document of ours.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! described {
    ($($name:literal = $file:literal,)+) => {
        [$(Described { name: $name, text: include_str!(concat!("../../fixtures/schemas/", $file, ".json")) },)+]
    };
}

/// By the word behind `omens.` in the document's `schema`, where it has one. What a run reports has one shape for all commands.
pub(super) const ALL: &[Described] = &described! {
    "renew" = "report",
    "run" = "report",
    "restore" = "report",
    "reseal" = "report",
    "rollback" = "report",
    "revoke" = "report",
    "unblock" = "report",
    "forget" = "report",
    "install" = "report",
    "enroll" = "report",
    "plan" = "plan",
    "status" = "status",
    "check-config" = "check-config",
    "chain-audit" = "chain-audit",
    "chain-audit-findings" = "chain-audit-findings",
    "probe" = "probe",
    "explain" = "explain",
    "init" = "init",
    "init-server" = "init-server",
    "attest" = "attest",
    "attest-policy" = "attest-policy",
    "schema" = "schema",
    "completions" = "report",
    "man" = "report",
    "error" = "report",
    "notify" = "notify",
    "ledger-line" = "ledger-line",
    "state" = "state",
    "meta" = "meta",
};

/// The names that `schema` takes.
pub(super) fn names() -> Vec<&'static str> {
    ALL.iter().map(|described| described.name).collect()
}
