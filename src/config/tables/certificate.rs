//! `[[certificate]]` and what stands in it.

use crate::config::install::{InstallKind, ORDERS};
use crate::config::keys::{Key, Kind, Table};
use crate::model::key::{Keep, KeyAlgorithm};
use crate::model::starttls::StartTls;

pub(in crate::config) static CERTIFICATE: Table = Table {
    title: "[[certificate]]",
    about: "One certificate: what is asked of the CA, who reads it, and where it can be seen. Write one such table for each, with two brackets.",
    keys: &[
        Key::required("name", Kind::Name, "\"web\"", "What it is called in commands and reports; its directories are called so too."),
        Key::required(
            "profile",
            Kind::Text("the name of a profile"),
            "\"tls-server\"",
            "What it has to look like. With omens come host-identity, infrastructure-rsa, keylime-agent, mtls-client, mtls-service and tls-server.",
        ),
        Key::required("role", Kind::Text("the name of a role"), "\"web\"", "The role of the PKI mount that signs it."),
        Key::required(
            "ttl",
            Kind::Span,
            "\"24h\"",
            "The lifetime that is asked for: whole seconds, at least 60s, within the profile's `lifetime`.",
        ),
        Key::required(
            "common_name",
            Kind::Text("1 to 64 characters"),
            "\"www.example.net\"",
            "The subject's common name. Where it is a host name, it is one of the certificate's DNS names too.",
        ),
        Key::or("dns", Kind::Texts("a DNS name"), "[]", "[\"example.net\", \"localhost\"]", "Further DNS names."),
        Key::or("ip", Kind::Texts("an IP address"), "[]", "[\"10.0.0.1\", \"2001:db8::1\"]", "IP addresses."),
        Key::or(
            "uri",
            Kind::Texts("a URI"),
            "[]",
            "[\"spiffe://example.org/web\"]",
            "URIs, which `allowed_uri_sans` of the role has to allow. A SPIFFE ID is the only one.",
        ),
        Key::or(
            "email",
            Kind::Texts("an e-mail address"),
            "[]",
            "[\"ops@example.net\"]",
            "E-mail addresses besides a common name that is one.",
        ),
        Key::optional(
            "subject",
            Kind::Table(&SUBJECT),
            "a common name alone",
            "{ organization = [\"Example Org\"], country = [\"CH\"] }",
            "What the role sets in the subject besides the common name. The role decides, a request cannot: where it is not there, the \
             certificate is refused.",
        ),
        Key::optional(
            "key",
            Kind::Table(&KEY),
            "as the profile and [tpm] say",
            "{ algorithm = \"ec-p256\", keep = \"sealed\" }",
            "Its private key, which is made on this host.",
        ),
        Key::optional(
            "owner",
            Kind::Text("a user, by name or number"),
            "who runs omens",
            "\"www-data\"",
            "Who owns the published key; needs CAP_CHOWN.",
        ),
        Key::optional(
            "group",
            Kind::Text("a group, by name or number"),
            "nobody else",
            "\"www-data\"",
            "Who may read the published key as well.",
        ),
        Key::optional(
            "before",
            Kind::One(&[&BEFORE_EXEC]),
            "nobody is asked",
            "{ exec = { command = [\"/usr/sbin/nginx\", \"-t\"] } }",
            "A program that is asked before a new generation is published: anything but exit code 0 keeps it back.",
        ),
        Key::or(
            "install",
            Kind::Tables(&INSTALL),
            "[]",
            "[ { dir = \"/etc/ssl/web\", fullchain = \"web.crt\", key = \"web.key\" } ]",
            "Links in a consumer's own directory, for one that cannot read /run/omens/NAME/live; `omens install` makes them, once.",
        ),
        Key::or(
            "reload",
            Kind::Drivers,
            "[]",
            "[ { nginx = { unit = \"nginx.service\" } } ]",
            "The services that read it, and how each is made to read it again.",
        ),
        Key::optional(
            "renamed_from",
            Kind::Name,
            "it never had another name",
            "\"www\"",
            "What is on disk under that name is carried over: generations, budget and state. It may stay there or go afterwards.",
        ),
        Key::optional(
            "renew_at",
            Kind::Text("a share of the lifetime (a number, or in percent), or a time before its end"),
            "as its profile says, else [defaults]",
            "\"8h\"",
            "When it is due: a share from 0.1 to 0.95, or from a twentieth to nine tenths of the `ttl` before the end. A spread of up to a \
             twentieth of the lifetime makes it earlier.",
        ),
        Key::or(
            "resident_at_own_risk",
            Kind::Flag,
            "false",
            "true",
            "Takes a resident key for nginx all the same, which loses handshakes with it at reloads.",
        ),
        Key::or(
            "revoke_replaced",
            Kind::Flag,
            "false",
            "true",
            "Whether the certificate that a proven one took the place of is revoked, by `openbao.revoke_login`.",
        ),
        Key::optional(
            "window",
            Kind::Texts("days and times"),
            "at any time",
            "[\"Mon..Fri 02:00-05:00\", \"Sat 00:00-24:00\"]",
            "When it may be renewed; not kept where it would expire.",
        ),
        Key::optional(
            "timezone",
            Kind::Text("a name of the time zone database"),
            "the host's local time",
            "\"UTC\"",
            "In which time `window` is meant.",
        ),
        Key::or(
            "verify",
            Kind::Entries(&[&VERIFY_TLS, &VERIFY_EXEC]),
            "[]",
            "[ { tls = { address = \"127.0.0.1:443\", server_name = \"www.example.net\" } } ]",
            "Where it is seen that a service uses it. Without one, that its files are published has to do (proof `file`).",
        ),
    ],
};

const SUBJECT_ABOUT: &str = "As the role's field of this name.";

pub(in crate::config) static SUBJECT: Table = Table {
    title: "subject",
    about: "Fields of a certificate's subject besides the common name, called as the role of the PKI mount calls them.",
    keys: &[
        Key::or("country", Kind::Texts("a country's code of two capital letters"), "[]", "[\"CH\"]", SUBJECT_ABOUT),
        Key::or("locality", Kind::Texts("1 to 128 characters"), "[]", "[\"Bern\"]", SUBJECT_ABOUT),
        Key::or("organization", Kind::Texts("1 to 128 characters"), "[]", "[\"Example Org\"]", SUBJECT_ABOUT),
        Key::or("ou", Kind::Texts("1 to 128 characters"), "[]", "[\"Operations\"]", SUBJECT_ABOUT),
        Key::or("postal_code", Kind::Texts("1 to 128 characters"), "[]", "[\"3000\"]", SUBJECT_ABOUT),
        Key::or("province", Kind::Texts("1 to 128 characters"), "[]", "[\"Bern\"]", SUBJECT_ABOUT),
        Key::or("street_address", Kind::Texts("1 to 128 characters"), "[]", "[\"1 Example Street\"]", SUBJECT_ABOUT),
    ],
};

pub(in crate::config) static KEY: Table = Table {
    title: "key",
    about: "A certificate's private key.",
    keys: &[
        Key::optional(
            "algorithm",
            Kind::Word(|| KeyAlgorithm::ALL.map(KeyAlgorithm::as_str).to_vec()),
            "the profile's first",
            "\"ec-p256\"",
            "Its algorithm; the profile has to allow it. ML-DSA needs OpenBao 2.7 and consumers with OpenSSL 3.5.",
        ),
        Key::optional(
            "keep",
            Kind::Word(|| Keep::ALL.map(Keep::as_str).to_vec()),
            "sealed where there is a [tpm], else file",
            "\"sealed\"",
            "How it rests: sealed to the TPM and in clear only in memory, resident in the TPM (ec-p256 or rsa-2048), which it never leaves, or in a file of mode 0600.",
        ),
    ],
};

pub(in crate::config) static INSTALL: Table = Table {
    title: "install entry",
    about: "A consumer's own directory. At least one file is named; no two entries name the same.",
    keys: &[
        Key::required("dir", Kind::Text("a directory"), "\"/etc/ssl/web\"", "The directory."),
        Key::or(
            "as",
            Kind::Word(|| InstallKind::ALL.map(InstallKind::as_str).to_vec()),
            "\"link\"",
            "\"copy\"",
            "Copies are for consumers that refuse links; never of a sealed key.",
        ),
        Key::optional("ca", Kind::Text("a file name"), "none", "\"ca.crt\"", "The first pinned root."),
        Key::optional("anchors", Kind::Text("a file name"), "none", "\"roots.pem\"", "All pinned roots."),
        Key::optional(
            "bundle",
            Kind::Text("a file name"),
            "none",
            "\"bundle.pem\"",
            "All pinned roots and the intermediates of this host's chains.",
        ),
        Key::optional("cert", Kind::Text("a file name"), "none", "\"web.crt\"", "The certificate alone."),
        Key::optional("chain", Kind::Text("a file name"), "none", "\"chain.crt\"", "The intermediates."),
        Key::optional("combined", Kind::Text("a file name"), "none", "\"web.pem\"", "Certificate, intermediates and key in one file."),
        Key::optional("fullchain", Kind::Text("a file name"), "none", "\"web.crt\"", "Certificate and intermediates."),
        Key::optional("key", Kind::Text("a file name"), "none", "\"web.key\"", "The private key."),
        Key::or(
            "order",
            Kind::Word(|| ORDERS.map(|(word, _)| word).to_vec()),
            "\"cert-first\"",
            "\"key-first\"",
            "What stands first in `combined`; Postfix wants the key.",
        ),
        Key::optional("pkcs12", Kind::Text("a file name"), "none", "\"web.p12\"", "Key and chain as PKCS #12, under `password`."),
        Key::optional(
            "jks",
            Kind::Text("a file name"),
            "none",
            "\"web.jks\"",
            "Key and chain as a keystore of old Java, under `password`.",
        ),
        Key::optional(
            "password",
            Kind::Text("file:PATH"),
            "none",
            "\"file:/etc/web/password\"",
            "Where the password of `pkcs12` and `jks` stands, alone: printable ASCII without spaces, six characters or more.",
        ),
    ],
};

const COMMAND: Kind = Kind::Texts("a program with its whole path, then its arguments; no shell");
const COMMAND_ABOUT: &str = "What is run. The program has to belong to root or the caller, and nobody else may write to it.";

pub(in crate::config) static BEFORE_EXEC: Table = Table {
    title: "before exec",
    about: "A program that may refuse a new generation.",
    keys: &[
        Key::required("command", COMMAND, "[\"/usr/sbin/nginx\", \"-t\"]", COMMAND_ABOUT),
        Key::or("timeout", Kind::Span, "\"30s\"", "\"1m\"", "At most 10m; then its process group is killed, and what left that goes on."),
    ],
};

pub(in crate::config) static VERIFY_EXEC: Table = Table {
    title: "verify exec",
    about: "A program whose exit code 0 says that the new certificate is in use.",
    keys: &[
        Key::required("command", COMMAND, "[\"/usr/local/bin/is-new\", \"web\"]", COMMAND_ABOUT),
        Key::or("timeout", Kind::Span, "\"30s\"", "\"1m\"", "How long one run may take, at most 10m."),
        Key::or("deadline", Kind::Span, "\"15s\"", "\"1m\"", "How long it is run again and again until it says so, at most 10m."),
    ],
};

pub(in crate::config) static VERIFY_TLS: Table = Table {
    title: "verify tls",
    about: "An endpoint that has to serve the new certificate, five handshakes in a row.",
    keys: &[
        Key::required("address", Kind::Text("HOST:PORT"), "\"127.0.0.1:443\"", "Where the service listens."),
        Key::optional(
            "server_name",
            Kind::Text("a host name or an IP address"),
            "the host of `address`",
            "\"www.example.net\"",
            "The name that is asked for (SNI) and that the certificate has to have.",
        ),
        Key::or("deadline", Kind::Span, "\"15s\"", "\"1m\"", "How long the new certificate may take to appear, at most 10m."),
        Key::optional(
            "starttls",
            Kind::Word(|| StartTls::ALL.map(StartTls::as_str).to_vec()),
            "TLS from the first byte",
            "\"smtp\"",
            "What is spoken in clear before TLS.",
        ),
        Key::optional(
            "client",
            Kind::Table(&CLIENT),
            "none is shown",
            "{ cert = \"/etc/omens/probe.pem\", key = \"file:/etc/omens/probe.key\" }",
            "A client certificate, which the server then has to take.",
        ),
    ],
};

pub(in crate::config) static CLIENT: Table = Table {
    title: "client",
    about: "A client certificate that is shown to an endpoint.",
    keys: &[
        Key::required("cert", Kind::Text("a PEM file"), "\"/etc/omens/probe.pem\"", "The certificate with its intermediates."),
        Key::required("key", Kind::Text("a secret"), "\"file:/etc/omens/probe.key\"", "Its private key."),
    ],
};
