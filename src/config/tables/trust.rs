//! `[trust]`: the roots that count, and what consumers are given of them.

use crate::config::keys::{Key, Kind, Table};

const ANCHOR: Key = Key::required("anchor", Kind::Text("a PEM file with one certificate"), "\"/etc/omens/root.pem\"", "The root itself.");
const ANCHOR_SHA256: Key = Key::required(
    "anchor_sha256",
    Kind::Text("64 hexadecimal digits"),
    "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
    "SHA-256 of its DER, so that another root of the same name is refused: `openssl x509 -noout -fingerprint -sha256 -in FILE`, run where the \
     root was made.",
);

pub(in crate::config) static TRUST: Table = Table {
    title: "[trust]",
    about: "The root that every certificate has to lead to.",
    keys: &[
        ANCHOR,
        ANCHOR_SHA256,
        Key::or(
            "also",
            Kind::Tables(&ALSO),
            "[]",
            "[ { anchor = \"/etc/omens/new-root.pem\", anchor_sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\" } ]",
            "Further roots, trusted as the first one is, while one takes the place of another.",
        ),
        Key::or(
            "crl",
            Kind::Tables(&CRL),
            "[]",
            "[ { mount = \"pki_int\", file = \"crl.pem\" } ]",
            "Revocation lists that consumers are given beside the roots: fetched in each renewal, and delivered where they are good.",
        ),
    ],
};

pub(in crate::config) static CRL: Table = Table {
    title: "entry of crl",
    about: "A revocation list; one of `mount` and `url`.",
    keys: &[
        Key::optional("mount", Kind::Text("the path of a mount"), "there is a `url`", "\"pki_int\"", "A PKI mount of OpenBao: its list."),
        Key::optional(
            "url",
            Kind::Text("https://HOST[:PORT]/PATH"),
            "there is a `mount`",
            "\"https://pki.example.net/root.crl\"",
            "Where the list lies, in PEM or DER; the server is checked against the pinned roots.",
        ),
        Key::required("file", Kind::Text("a file name"), "\"crl.pem\"", "Its name in the directory trust of the run directory."),
    ],
};

pub(in crate::config) static ALSO: Table =
    Table { title: "entry of also", about: "A root that is trusted beside the first one.", keys: &[ANCHOR, ANCHOR_SHA256] };
