//! `[host]`, `[paths]`, `[openbao]`, `[tpm]`, `[attestation]`, `[metrics]` and `[defaults]`: what a host has once.

use crate::config::keys::{Key, Kind, Table};

pub(in crate::config) static HOST: Table = Table {
    title: "[host]",
    about: "This host.",
    keys: &[Key::required(
        "name",
        Kind::Text("a host name"),
        "\"web1.example.net\"",
        "Stands in reports, and spreads the renewals of many hosts: with the name of a certificate it decides when within its last third that \
         is renewed.",
    )],
};

pub(in crate::config) static PATHS: Table = Table {
    title: "[paths]",
    about: "Where things lie.",
    keys: &[
        Key::or(
            "state",
            Kind::Text("a directory"),
            "\"/var/lib/omens\"",
            "\"/srv/omens\"",
            "What survives a reboot: generations, state, ledger. Two configurations do not share one.",
        ),
        Key::or(
            "run",
            Kind::Text("a directory"),
            "\"/run/omens\"",
            "\"/run/omens\"",
            "What consumers read. Sealed keys are published there only where it is in memory (tmpfs).",
        ),
        Key::or(
            "policies",
            Kind::Text("a directory"),
            "\"/etc/omens/policies\"",
            "\"/etc/omens/policies\"",
            "Profiles are the files certificates/NAME.toml below it; they win over those that come with omens.",
        ),
    ],
};

pub(in crate::config) static NOTIFY: Table = Table {
    title: "[notify]",
    about: "Who is told, once a run, when a certificate failed or recovered: one JSON document on the standard input of a program.",
    keys: &[
        Key::required(
            "exec",
            Kind::Texts("the program and its arguments"),
            "[\"/usr/local/sbin/tell\", \"operators\"]",
            "The program, by its absolute path, and what it is given.",
        ),
        Key::or(
            "timeout",
            Kind::Span,
            "\"30s\"",
            "\"10s\"",
            "When it is killed with its process group, at most 10m. What it started with `setsid` goes on.",
        ),
    ],
};

pub(in crate::config) static OPENBAO: Table = Table {
    title: "[openbao]",
    about: "The server that signs. Only https is spoken.",
    keys: &[
        Key::optional(
            "address",
            Kind::Text("https://HOST:PORT"),
            "needed unless there are `addresses`",
            "\"https://openbao.example.net:8200\"",
            "The server, without a path.",
        ),
        Key::optional(
            "addresses",
            Kind::Texts("https://HOST:PORT"),
            "only `address`",
            "[\"https://bao1.example.net:8200\", \"https://bao2.example.net:8200\"]",
            "More servers of the same cluster: each run tries them in this order, after `address`, until one serves.",
        ),
        Key::optional(
            "namespace",
            Kind::Text("the path of a namespace"),
            "the root namespace",
            "\"team/web\"",
            "Where mount and logins are.",
        ),
        Key::optional(
            "ca",
            Kind::Text("a PEM file"),
            "all pinned roots",
            "\"/etc/omens/openbao-ca.pem\"",
            "The roots of the server's own TLS certificate, where that is not of the pinned root. Not for what it signs: that always has to lead \
             to the anchor.",
        ),
        Key::required("mount", Kind::Text("the path of a mount"), "\"pki_int\"", "Where the PKI secrets engine is mounted."),
        Key::required(
            "login",
            Kind::Entries(&[&TPM_IDENTITY, &JWT_SVID, &APPROLE, &CERT, &JWT, &TOKEN]),
            "[ { approle = { role_id = \"file:/etc/omens/role-id\", secret_id = \"credential:secret-id\" } } ]",
            "How to log in. Several are tried in order.",
        ),
        Key::or(
            "revoke_login",
            Kind::Entries(&[&TPM_IDENTITY, &JWT_SVID, &APPROLE, &CERT, &JWT, &TOKEN]),
            "[]",
            "[ { token = { token = \"credential:revoker\" } } ]",
            "A login of its own that may use `MOUNT/revoke` and nothing else: such a token can revoke every certificate of the mount. Several \
             are tried in order, also where one that is granted may not revoke. Without it nothing is revoked.",
        ),
    ],
};

const MOUNT: &str = "Where the auth method is mounted, below auth/.";
const MOUNT_KIND: Kind = Kind::Text("the path of a mount");

pub(in crate::config) static APPROLE: Table = Table {
    title: "login approle",
    about: "The auth method approle.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"approle\"", "\"approle\"", MOUNT),
        Key::required("role_id", Kind::Text("a secret"), "\"file:/etc/omens/role-id\"", "The role's id."),
        Key::required("secret_id", Kind::Text("a secret"), "\"credential:secret-id\"", "Its secret id, as plain text."),
        Key::or(
            "wrapped",
            Kind::Flag,
            "false",
            "true",
            "Whether `secret_id` holds a wrapping token, which one login uses up. Put a login by certificate before it: it brings a host in once.",
        ),
    ],
};

pub(in crate::config) static CERT: Table = Table {
    title: "login cert",
    about: "The auth method cert: a TLS client certificate.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"cert\"", "\"cert\"", MOUNT),
        Key::required("role", Kind::Text("the name of a role"), "\"hosts\"", "The role of the auth method."),
        Key::required(
            "cert",
            Kind::Text("a PEM file"),
            "\"/run/omens/host/live/fullchain.pem\"",
            "The certificate with its intermediates.",
        ),
        Key::required("key", Kind::Text("a secret"), "\"file:/run/omens/host/live/key.pem\"", "Its private key."),
    ],
};

pub(in crate::config) static JWT: Table = Table {
    title: "login jwt",
    about: "The auth methods jwt and kubernetes: a token in a file that somebody else keeps fresh.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"jwt\"", "\"kubernetes\"", MOUNT),
        Key::required("role", Kind::Text("the name of a role"), "\"hosts\"", "The role of the auth method."),
        Key::required("jwt", Kind::Text("a secret"), "\"file:/var/run/secrets/kubernetes.io/serviceaccount/token\"", "The token."),
    ],
};

pub(in crate::config) static TPM_IDENTITY: Table = Table {
    title: "login tpm_identity",
    about: "The auth method cert, with a certificate of these settings whose key stays in the TPM. It is renewed before all others, and a login is its proof.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"cert\"", "\"cert\"", MOUNT),
        Key::required("role", Kind::Text("the name of a role"), "\"hosts\"", "The role of the auth method."),
        Key::required(
            "certificate",
            Kind::Name,
            "\"host-identity\"",
            "Which certificate is shown. Its key is `keep = \"resident\"`, its profile `host-identity`; it has no `reload` and no `install`.",
        ),
    ],
};

pub(in crate::config) static JWT_SVID: Table = Table {
    title: "login jwt_svid",
    about: "The auth method jwt, with a JWT-SVID that the SPIRE agent of this host gives for the asking.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"jwt\"", "\"jwt\"", MOUNT),
        Key::required("role", Kind::Text("the name of a role"), "\"attested\"", "The role of the auth method."),
        Key::required(
            "socket",
            Kind::Text("the socket of a SPIRE agent"),
            "\"unix:/run/spire/sockets/agent.sock\"",
            "The agent's Workload API.",
        ),
        Key::required("audience", Kind::Text("an audience"), "\"openbao\"", "For whom it is made: what the role has in bound_audiences."),
        Key::optional(
            "spiffe_id",
            Kind::Text("a SPIFFE ID"),
            "the agent's first",
            "\"spiffe://example.org/omens\"",
            "Which one is asked for, where this program has several.",
        ),
    ],
};

pub(in crate::config) static TOKEN: Table = Table {
    title: "login token",
    about: "A token of OpenBao. Where it may be renewed, it is when half of it is over.",
    keys: &[
        Key::or("mount", MOUNT_KIND, "\"token\"", "\"token\"", "Not used."),
        Key::required("token", Kind::Text("a secret"), "\"file:/etc/omens/token\"", "The token, as plain text."),
    ],
};

pub(in crate::config) static TPM: Table = Table {
    title: "[tpm]",
    about: "The TPM 2.0 that private keys are sealed to. Where this table is there, keys are sealed unless a certificate says otherwise.",
    keys: &[
        Key::required(
            "tcti",
            Kind::Text("device:PATH or swtpm:host=ADDRESS,port=PORT"),
            "\"device:/dev/tpmrm0\"",
            "How the TPM is reached.",
        ),
        Key::or(
            "pcrs",
            Kind::Numbers("PCRs of the bank sha256, 0 to 22 without 16"),
            "[]",
            "[7]",
            "What keys are bound to beside this TPM: they open only while these PCRs have the values of the sealing.",
        ),
        Key::or("max_age", Kind::Span, "\"7d\"", "\"30d\"", "How old a sealing key may grow before a run makes a new one; at least 1h."),
    ],
};

pub(in crate::config) static ATTESTATION: Table = Table {
    title: "[attestation]",
    about: "A verdict on this host's state, without which nothing is requested. It needs [tpm].",
    keys: &[
        Key::or(
            "required",
            Kind::Flag,
            "false",
            "true",
            "Whether certificates are requested only with a pass. If not, the verdict is told, no more.",
        ),
        Key::or("max_age", Kind::Span, "\"10m\"", "\"10m\"", "The oldest pass that counts."),
        Key::optional(
            "by",
            Kind::Entries(&[&KEYLIME]),
            "nobody; needed where `required`",
            "[ { keylime = { registrar = \"https://keylime.example.net:8891\", verifier = \"https://keylime.example.net:8881\" } } ]",
            "Who appraises; one entry.",
        ),
    ],
};

pub(in crate::config) static KEYLIME: Table = Table {
    title: "attester keylime",
    about: "Keylime, to which `omens attest` is a push agent.",
    keys: &[
        Key::required("registrar", Kind::Text("https://HOST:PORT"), "\"https://keylime.example.net:8891\"", "The registrar."),
        Key::required("verifier", Kind::Text("https://HOST:PORT"), "\"https://keylime.example.net:8881\"", "The verifier."),
        Key::optional("ca", Kind::Text("a PEM file"), "all pinned roots", "\"/etc/omens/keylime-ca.pem\"", "The roots of both."),
        Key::or(
            "agent_id",
            Kind::Text("hash-ek, or at most 80 letters, digits, '.', '_' and '-'"),
            "\"hash-ek\"",
            "\"web1\"",
            "What this host is called there; `hash-ek` is the SHA-256 of its endorsement key.",
        ),
    ],
};

pub(in crate::config) static METRICS: Table = Table {
    title: "[metrics]",
    about: "Metrics for the textfile collector of Prometheus' node exporter.",
    keys: &[Key::required(
        "textfile",
        Kind::Text("a file that ends in .prom"),
        "\"/var/lib/node_exporter/omens.prom\"",
        "Every run writes it anew. Its directory has to exist, and under systemd ReadWritePaths= of the units has to name it.",
    )],
};

pub(in crate::config) static DEFAULTS: Table = Table {
    title: "[defaults]",
    about: "What certificates have where neither they nor their profiles say it.",
    keys: &[Key::optional(
        "renew_at",
        Kind::Text("a share of the lifetime (a number, or in percent), or a time before its end"),
        "after two thirds of the lifetime",
        "\"8h\"",
        "When a certificate is due.",
    )],
};
