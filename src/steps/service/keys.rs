//! The keys that several drivers have, and the tables of Keylime's.

use crate::config::keys::{Key, Kind, Table};

/// What SPIRE calls its kinds of plugin that can read certificates.
pub(super) const KINDS: [&str; 9] = [
    "BundlePublisher",
    "CredentialComposer",
    "DataStore",
    "KeyManager",
    "NodeAttestor",
    "Notifier",
    "SVIDStore",
    "UpstreamAuthority",
    "WorkloadAttestor",
];

/// What is done about agents that were fresh before the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agents {
    /// Nothing.
    Ignore,
    /// They are looked at once.
    Report,
    /// They are waited for until the deadline.
    Wait,
}

impl Agents {
    /// All of them, the most careful first.
    pub(super) const ALL: [Self; 3] = [Self::Wait, Self::Report, Self::Ignore];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Report => "report",
            Self::Wait => "wait",
        }
    }
}

/// The keys that say where a service runs: `unit`, or without systemd the others.
pub(super) const UNIT: Key = Key::optional(
    "unit",
    Kind::Text("a unit of systemd"),
    "needed unless the keys without systemd are there",
    "\"NAME.service\"",
    "The unit.",
);
pub(super) const PID: Key =
    Key::optional("pid", Kind::Text("a file"), "by `start`", "\"/run/NAME.pid\"", "Without systemd: the file that holds its process id.");
pub(super) const START: Key = Key::optional(
    "start",
    Kind::Texts("a program with its whole path, then its arguments"),
    "it is not started",
    "[\"/usr/local/sbin/start-it\"]",
    "Without systemd: what starts it; `stop` is needed as well.",
);
pub(super) const STOP: Key = Key::optional(
    "stop",
    Kind::Texts("a program with its whole path, then its arguments"),
    "it is not stopped",
    "[\"/usr/local/sbin/stop-it\"]",
    "Without systemd: what stops it.",
);

/// The key that names the pair of an administrator.
pub(super) const ADMIN: Key = Key::optional(
    "admin",
    Kind::Table(&ADMIN_TABLE),
    "agents are not asked about",
    "{ cert = \"/etc/omens/keylime-admin.pem\", key = \"file:/etc/omens/keylime-admin.key\" }",
    "A client certificate that the verifier takes for an administrator's.",
);

pub(super) static ADMIN_TABLE: Table = Table {
    title: "admin",
    about: "The client certificate of an administrator of Keylime.",
    keys: &[
        Key::required("cert", Kind::Text("a PEM file"), "\"/etc/omens/keylime-admin.pem\"", "The certificate with its intermediates."),
        Key::required("key", Kind::Text("a secret"), "\"file:/etc/omens/keylime-admin.key\"", "Its private key."),
    ],
};

/// The keys that name a plugin and the log of its program.
pub(super) const PLUGIN: Key = Key::required(
    "plugin",
    Kind::Table(&PLUGIN_TABLE),
    "{ kind = \"UpstreamAuthority\", name = \"vault\", cert = \"cert_auth.client_cert_path\", key = \"cert_auth.client_key_path\" }",
    "The plugin that reads the certificate.",
);
pub(super) const LOG: Key = Key::optional(
    "log",
    Kind::Text("a file"),
    "the journal of the unit",
    "\"/var/log/spire.log\"",
    "Where it says that it has read the new files, at the level info.",
);

pub(super) static PLUGIN_TABLE: Table = Table {
    title: "plugin",
    about: "A plugin of SPIRE that reads certificates. omens writes its data file.",
    keys: &[
        Key::required("kind", Kind::Word(|| KINDS.to_vec()), "\"UpstreamAuthority\"", "Its kind."),
        Key::required("name", Kind::Text("letters, digits, '_' and '-'"), "\"vault\"", "Its name."),
        Key::required(
            "cert",
            Kind::Text("an option of the plugin"),
            "\"cert_auth.client_cert_path\"",
            "The option that names the certificate with its intermediates; dots lead into a block.",
        ),
        Key::required("key", Kind::Text("an option of the plugin"), "\"cert_auth.client_key_path\"", "The one that names the private key."),
        Key::optional(
            "ca",
            Kind::Text("an option of the plugin"),
            "it is told no roots",
            "\"ca_cert_path\"",
            "The one that names the roots.",
        ),
        Key::or(
            "data",
            Kind::Free("the plugin's other options"),
            "{}",
            "{ vault_addr = \"https://openbao.example.net:8200\" }",
            "Its other options.",
        ),
    ],
};

/// Keylime's verifier.
pub(super) static KEYLIME_VERIFIER: Table = Table {
    title: "reload driver keylime_verifier",
    about: "Keylime's verifier, which is started anew: it reads its files at start only. Agents that do not attest again are named.",
    keys: &[
        UNIT,
        START,
        STOP,
        PID,
        Key::optional(
            "address",
            Kind::Text("HOST:PORT"),
            "the first entry of `verify`",
            "\"127.0.0.1:8881\"",
            "Where it listens: it is seen there whether it serves the new certificate.",
        ),
        Key::optional(
            "agents",
            Kind::Word(|| Agents::ALL.map(Agents::as_str).to_vec()),
            "wait where there is `admin`, else ignore",
            "\"report\"",
            "What is done about agents that were fresh before: waited for, looked at once, nothing.",
        ),
        Key::or("deadline", Kind::Span, "\"60s\"", "\"2m\"", "How long agents may take to attest again, at most 10m."),
        ADMIN,
    ],
};

/// Keylime's agent.
pub(super) static KEYLIME_AGENT: Table = Table {
    title: "reload driver keylime_agent",
    about: "Keylime's pull agent, which is started anew: it reads its files at start only. `verifier`, `agent` and `admin` are there all or none: then it has to attest again.",
    keys: &[
        UNIT,
        START,
        STOP,
        PID,
        Key::optional(
            "address",
            Kind::Text("HOST:PORT"),
            "the first entry of `verify`",
            "\"127.0.0.1:9002\"",
            "Where it listens: it is seen there whether it serves the new certificate.",
        ),
        Key::optional(
            "verifier",
            Kind::Text("https://HOST:PORT"),
            "its verdict is not asked",
            "\"https://keylime.example.net:8881\"",
            "Who says whether it attests.",
        ),
        Key::optional(
            "agent",
            Kind::Text("the UUID of an agent"),
            "its verdict is not asked",
            "\"7f1a1ac2-6a1b-4f5e-9d0b-0a8d3f0c1a11\"",
            "What it is called there.",
        ),
        ADMIN,
        Key::or("deadline", Kind::Span, "\"60s\"", "\"2m\"", "How long it may take to attest again, at most 10m."),
    ],
};
