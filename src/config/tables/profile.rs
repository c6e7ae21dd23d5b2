//! Profiles: the files certificates/NAME.toml below `paths.policies`.

use crate::config::keys::{Key, Kind, Table};

/// A profile.
pub static PROFILE: Table = Table {
    title: "profile",
    about: "What a certificate has to look like: a file certificates/NAME.toml below `paths.policies`, or one that comes with omens. What is \
            required and missing, or there and not allowed, is refused. No profile can change the checks of names, pair, path, pin, signature \
            and validity.",
    keys: &[
        Key::required("purpose", Kind::Text("server, client or both"), "\"server\"", "What it is for."),
        Key::required("eku", Kind::Table(&EKU), "{ required = [\"serverAuth\"], allowed = [\"clientAuth\"] }", "Extended key usages."),
        Key::required("key_usage", Kind::Table(&KEY_USAGE), "{ required = [\"digitalSignature\"] }", "Key usages."),
        Key::required(
            "keys",
            Kind::Texts("ec-p256, ec-p384, ed25519, ml-dsa-44, ml-dsa-65, rsa-2048, rsa-3072 or rsa-4096"),
            "[\"ec-p256\", \"ec-p384\"]",
            "The key algorithms that are allowed; the first is made where a certificate names none.",
        ),
        Key::required("lifetime", Kind::Table(&LIFETIME), "{ min = \"10m\", max = \"168h\" }", "How long it may be valid."),
        Key::or("wildcard", Kind::Flag, "false", "true", "Whether a DNS name may be a wildcard."),
        Key::optional(
            "renew_at",
            Kind::Text("a share of the lifetime (a number, or in percent), or a time before its end"),
            "as [defaults] says, else after two thirds of the lifetime",
            "\"8h\"",
            "When its certificates are due that do not say it themselves.",
        ),
        Key::or(
            "lints",
            Kind::Free("ids of findings, each with high, medium, low or info"),
            "{}",
            "{ \"chain.root-included\" = \"low\" }",
            "Other severities of findings; `omens chain-audit --list-findings` has their ids.",
        ),
    ],
};

pub(in crate::config) static EKU: Table = Table {
    title: "\"eku\"",
    about: "Extended key usages, by the names of RFC 5280 or as dotted OIDs.",
    keys: &[
        Key::required("required", Kind::Texts("an extended key usage"), "[\"serverAuth\"]", "Those that have to be there."),
        Key::or("allowed", Kind::Texts("an extended key usage"), "[]", "[\"clientAuth\"]", "Those that may be there as well."),
    ],
};

pub(in crate::config) static KEY_USAGE: Table = Table {
    title: "\"key_usage\"",
    about: "Key usages, by the names of RFC 5280.",
    keys: &[
        Key::required("required", Kind::Texts("a key usage"), "[\"digitalSignature\"]", "Those that have to be there."),
        Key::or("allowed", Kind::Texts("a key usage"), "[]", "[\"keyEncipherment\"]", "Those that may be there as well."),
    ],
};

pub(in crate::config) static LIFETIME: Table = Table {
    title: "\"lifetime\"",
    about: "How long a certificate may be valid.",
    keys: &[Key::required("min", Kind::Span, "\"10m\"", "The shortest."), Key::required("max", Kind::Span, "\"168h\"", "The longest.")],
};
