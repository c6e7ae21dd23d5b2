//! The tables of the settings and of profiles; those of drivers are in the drivers' own files.

pub(super) mod certificate;
pub(super) mod host;
pub(super) mod profile;
pub(super) mod trust;

use super::keys::{Key, Kind, TOP_LEVEL, Table};

/// The file of `--config` and those of `omens.d` together.
pub static ROOT: Table = Table {
    title: TOP_LEVEL,
    about: "The file of `--config` (by default /etc/omens/omens.toml), and omens.d/*.toml beside it, which only add. Every mistake is said at \
            once, with file, line and column. Paths are absolute. A secret never stands in the settings: it is `file:PATH`, a file of mode \
            0600, or `credential:NAME`, a credential of the unit (systemd.exec(5)).",
    keys: &[
        Key::required("host", Kind::Table(&host::HOST), "{ name = \"web1.example.net\" }", "This host."),
        Key::optional("paths", Kind::Table(&host::PATHS), "the usual places", "{ state = \"/var/lib/omens\" }", "Where things lie."),
        Key::required("trust", Kind::Table(&trust::TRUST), "{ anchor = \"/etc/omens/root.pem\" }", "The root that counts."),
        Key::required("openbao", Kind::Table(&host::OPENBAO), "{ mount = \"pki_int\" }", "Who signs."),
        Key::optional("tpm", Kind::Table(&host::TPM), "keys lie in files", "{ tcti = \"device:/dev/tpmrm0\" }", "What keys are sealed to."),
        Key::optional(
            "attestation",
            Kind::Table(&host::ATTESTATION),
            "no verdict is needed",
            "{ required = false }",
            "Who appraises this host's state.",
        ),
        Key::optional(
            "metrics",
            Kind::Table(&host::METRICS),
            "no file is written",
            "{ textfile = \"/…/omens.prom\" }",
            "Metrics as a file.",
        ),
        Key::optional(
            "notify",
            Kind::Table(&host::NOTIFY),
            "nobody is told",
            "{ exec = [\"/usr/local/sbin/tell\"] }",
            "Who is told of failures.",
        ),
        Key::optional(
            "defaults",
            Kind::Table(&host::DEFAULTS),
            "each says it itself",
            "{ renew_at = \"8h\" }",
            "What certificates have that do not say it.",
        ),
        Key::optional(
            "certificate",
            Kind::Tables(&certificate::CERTIFICATE),
            "nothing to renew",
            "[]",
            "The certificates, one table each.",
        ),
    ],
};

/// The table of the settings that a key belongs to which another table does not have: the one that holds the other, or else the only one of
/// the file's own that has it.
pub(super) fn owner(of: &Table, key: &str) -> Option<Owner> {
    let own = || ROOT.keys.iter().filter_map(|root| inner(root.kind));
    let around = own().find(|table| table.has(key) && table.keys.iter().filter_map(|key| inner(key.kind)).any(|one| std::ptr::eq(one, of)));
    if let Some(table) = around {
        return Some(Owner { table, is_around: true });
    }
    let mut others = own().filter(|table| table.has(key) && !std::ptr::eq(*table, of));
    others.next().filter(|_| others.next().is_none()).map(|table| Owner { table, is_around: false })
}

/// The table that a key belongs to.
pub(super) struct Owner {
    pub(super) table: &'static Table,
    /// Whether the table where it stands is one of this one's own.
    pub(super) is_around: bool,
}

const fn inner(kind: Kind) -> Option<&'static Table> {
    match kind {
        Kind::Table(table) | Kind::Tables(table) => Some(table),
        Kind::Drivers
        | Kind::Entries(_)
        | Kind::Flag
        | Kind::Free(_)
        | Kind::Name
        | Kind::Numbers(_)
        | Kind::One(_)
        | Kind::Span
        | Kind::Text(_)
        | Kind::Texts(_)
        | Kind::Word(_) => None,
    }
}
