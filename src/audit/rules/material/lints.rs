//! What can be wrong there.

use crate::judge::lint::catalogue;

const KEY_MODE: &str =
    "chmod 0600 the key (0640 with a group of the service alone), and renew the certificate with a new key: the old one may have been read";
const WAY: &str = "chmod go-w the directory and give it to root; who may write it replaces what lies below it";
const LEFTOVER: &str = "remove it; if it holds a key that is still in use, renew with a new key first";
const JOIN: &str = "write each boundary on a line of its own, at the beginning of the line";

catalogue! {
    CERTIFICATE_ABSENT = "pair.certificate-absent", High, open, "a certificate file that a service is told to use is not there",
        "put the certificate there, or correct the path in the configuration";
    CERTIFICATE_EMPTY = "pair.certificate-empty", High, open, "a certificate file is empty",
        "write the leaf and its intermediates into it; a script that writes it in place should write beside it and rename";
    CERTIFICATE_OTHER = "pair.no-certificate", High, open, "a file that should hold a certificate holds something else",
        "name the file of the certificate itself: leaf first, then its intermediates";
    CERTIFICATE_BROKEN = "pair.certificate-malformed", High, open, "a certificate file does not decode",
        "write it again from its source; a copy that broke off half-way looks like this";
    CERTIFICATE_DER = "pair.certificate-der", High, open, "a certificate in DER where services read PEM", "convert it: openssl x509 -inform der -in FILE -out FILE.pem";
    KEY_ABSENT = "pair.key-absent", High, open, "a private key that a service is told to use is not there",
        "put the key there, or correct the path in the configuration";
    KEY_NONE = "pair.no-key", High, open, "a file that should hold a private key holds none", "name the file of the key itself";
    KEY_DAMAGED = "pair.key-malformed", High, open, "a private key does not decode", "make a new key and have a certificate issued for it";
    KEY_ENCRYPTED = "pair.key-encrypted", High, open, "a private key needs a pass phrase and none is configured: the service does not start by itself",
        "configure the pass phrase (nginx: ssl_password_file, Keylime: server_key_password), or keep the key plain with mode 0600";
    LEAF_NOT_FIRST = "chain.leaf-not-first", High, open, "the certificate file does not begin with the leaf",
        "write the leaf first, then its intermediates in the order of their issuers";
    MISSING_TRUSTED = "chain.completed-by-trust", Medium, open, "an intermediate is missing in the certificate file; OpenSSL adds it from the trust list",
        "append the intermediate to the certificate file; clients get it only as long as the trust list happens to hold it";
    KEY_IN_CERTIFICATE = "pem.key-beside-certificate", High, open, "a private key in a certificate file that others may read",
        "move the key into a file of its own with mode 0600, and renew with a new key: the old one may have been read";
    PEM_GLUED = "pem.glued", High, open, "two PEM blocks share a line: OpenSSL and Go do not read on", JOIN;
    PEM_INDENTED = "pem.indented", High, open, "a PEM boundary does not begin its line: OpenSSL and Go do not see the block", JOIN;
    PEM_GAP = "pem.empty-line", High, open, "an empty line inside a PEM block: OpenSSL takes what stands before it for headers, and does not read the block", "remove the empty line";
    PEM_BOUNDARY = "pem.boundary-damaged", High, open, "a PEM boundary has not five dashes at each end: what lies behind it is lost", "write the boundary with five dashes at each end";
    SELF_SIGNED = "cert.self-signed", Low, open, "a self-signed certificate that no trust list of this host holds", "have it issued by the PKI, so that peers can trust it without knowing it";
    ISSUER_UNKNOWN = "path.issuer-unknown", Low, open, "the chain leads to an authority that nothing on this host knows",
        "give its root with --anchor, or have the certificate issued by the estate's own PKI";
    AUTHORITY_ENDS = "validity.authority-ends", Medium, open, "an authority ends before a certificate renewed today would", "renew the authority first, and distribute it before its leaves are renewed";
    AGENT_ADMIN = "keylime.agent-administrator", High, open, "a Keylime agent's certificate makes its host an administrator of Keylime",
        "issue agents from a role with server_flag=true client_flag=false, without a common name; any client certificate with a CN under trusted_client_ca is an administrator";
    NAME_UNCOVERED = "name.not-covered", High, open, "the certificate is for none of the names that clients ask for",
        "have it issued with these names (dns and ip of the certificate), or correct the name in the configuration";
    KEY_TWICE = "key.two-certificates", Low, open, "one private key behind two certificates of different services", "let each service have a key of its own";
    KEY_KEPT = "key.reused", Low, open, "the same private key as the generation before", "make a new key at each renewal";

    KEY_READABLE = "key.readable-by-others", High, open, "a private key that every account of the host may read", KEY_MODE;
    KEY_GROUP = "key.readable-by-group", Low, open, "a private key that a group with other members may read", "give the key to a group of the service alone, or chmod 0600";
    KEY_UNREAD = "key.unreadable-for-service", Medium, open, "the account that a service runs as may not read its key: it does not start",
        "chgrp the key to a group of the service and chmod 0640, or chown it to the service";
    KEY_OWNER = "key.owner", Medium, open, "a private key belongs to an account that is neither root nor the service", "chown it to root or to the account that uses it";
    WRITABLE = "file.writable-by-others", High, open, "a file that a service trusts or serves may be written by others", "chmod go-w; then compare it with its source";
    WAY_WRITABLE = "way.writable-by-others", High, open, "a directory on the way to a key, certificate or trust list may be written by others", WAY;
    WAY_OWNER = "way.owner", Medium, open, "a directory or link on the way to a private key belongs to an account that is neither root nor the service",
        "chown it to root; who owns it replaces what lies below it";
    KEY_COPY = "key.copy", Low, open, "the same private key lies in a second file", "keep one file, and let everything else name it or link to it";
    KEY_BACKUP = "key.backup", Medium, open, "a leftover file with a private key that is in use", LEFTOVER;
    LEFTOVER_FILE = "file.leftover", Low, open, "a leftover of an older script or an editor beside a key or certificate", LEFTOVER;
    CA_KEY = "ca.key-on-host", Medium, open, "the private key of a certificate authority lies beside what it signs", "keep the authority's key in OpenBao, or offline";

    TRUST_ABSENT = "trust.absent", High, open, "a trust list that a service is told to use is not there", "put the root there, or correct the path in the configuration";
    TRUST_EMPTY = "trust.empty", High, open, "a trust list holds no certificate: every peer is refused", "write the root into it; with OpenSSL the intermediate does not replace it";
    TRUST_BROKEN = "trust.malformed", High, open, "a trust list does not decode", "write it again from its source";
    TRUST_NO_ROOT = "trust.no-root", High, open, "a trust list holds the intermediate without its root: every peer is refused with \"unknown certificate authority\"",
        "append the root to the list; OpenSSL needs a self-signed certificate at the end of the path (no partial chains)";
    TRUST_NO_INTERMEDIATE = "trust.no-intermediate", High, open, "a trust list holds the root alone, and its peers send their leaf alone: no path, every peer is refused",
        "append the intermediate to the list, beside the root";
    TRUST_FIRST = "trust.first-not-root", High, open, "only the first certificate of this trust list is read, and it is not the root", "name a file that begins with the root";
    TRUST_EXPIRED = "trust.expired", High, open, "every root of a trust list is expired or not valid yet", "write the current root into the list";
    TRUST_STALE = "trust.stale", Low, open, "an expired certificate in a trust list", "remove it once nothing is signed by it any more";
    TRUST_SURPLUS = "trust.surplus-root", Low, open, "a root in a trust list that is not the pinned one", "remove it, unless a rotation is under way: whoever holds its key can sign for this service";
    TRUST_LEAF = "trust.leaf", Medium, open, "a leaf certificate in a trust list", "trust the root instead; this one ends with the leaf's next renewal";
    TRUST_NAMESAKE = "trust.same-subject", Medium, open, "two roots of one name and different keys in a trust list", "remove the one that nothing leads to any more; give a new root a new name";
    TRUST_TWICE = "trust.duplicate", Low, open, "the same certificate twice in a trust list", "remove one of them";
    TRUST_HASH = "trust.no-hash-links", High, open, "a trust directory without hash links: OpenSSL finds nothing in it", "run openssl rehash on it after each change, or name a file";

    CALL_PLAIN = "call.plain-to-tls", High, open, "plain HTTP is spoken to a port that speaks TLS", "use https:// (or switch TLS on) at the caller";
    CALL_TLS = "call.tls-to-plain", High, open, "TLS is spoken to a port that speaks plain HTTP", "name the TLS port at the caller, or switch TLS on at the listener";
    CALL_NO_CERTIFICATE = "call.no-client-certificate", High, open, "the listener requires a client certificate and the caller shows none",
        "configure certificate and key at the caller; look for misspelled options, which most services ignore in silence";
    CALL_CLIENT_UNTRUSTED = "call.client-untrusted", High, open, "the listener's trust list does not accept the certificate that the caller shows",
        "put the root that the caller's certificate leads to into the listener's trust list, or show one from a trusted authority";
    CALL_CLIENT_PURPOSE = "call.client-purpose", High, open, "the caller shows a certificate that is not for clients", "show one with clientAuth (client_flag=true on the role that signs it)";
    CALL_SERVER_UNTRUSTED = "call.server-untrusted", High, open, "the caller's trust list does not accept the certificate that the listener serves",
        "put the root that the served certificate leads to into the caller's trust list";
    CALL_SERVER_PURPOSE = "call.server-purpose", High, open, "the listener serves a certificate that is not for servers", "serve one with serverAuth (server_flag=true on the role that signs it)";
    CALL_NAME = "call.name", High, open, "the caller looks for a name that the served certificate does not have",
        "have the listener's certificate issued with this name or address, or call it by a name that it has";
    CALL_DEPTH = "call.depth", High, open, "a path has more intermediates than whoever judges it allows", "allow as many as there are, or shorten the chain";
    CALL_REVOKED = "call.revoked", High, open, "the certificate that one end shows is on the revocation list of the other", "issue another with a new key, and find out why it was revoked";
    CALL_VERSIONS = "call.tls-versions", High, open, "both ends speak TLS, in no version that both allow", "allow TLS 1.2 and 1.3 at both ends";
    CALL_SUITES = "call.cipher-suites", High, open, "both ends speak TLS 1.2 alone, with no cipher suite that both allow", "allow the same suites at both ends, or TLS 1.3";
    SUITES_KEY = "listener.cipher-suites", High, open, "none of the cipher suites that a listener allows works with its key: no handshake succeeds",
        "allow suites for this kind of key (ECDHE-ECDSA-… for EC, ECDHE-RSA-… for RSA), or serve a key of the other kind";
    CALL_LOGIN = "call.login-not-asked", High, open, "a login by client certificate at a listener that asks for none", "have the listener ask for client certificates (OpenBao: remove tls_disable_client_certs), or log in another way";
    ADVERTISED_NAME = "call.advertised-name", Medium, open, "a service sends its clients to a name that its certificate does not have", "have the certificate issued with this name, or advertise one that it has";

    RENEWAL_UNHEARD = "renewal.no-reload", High, open, "certificates are renewed and nothing reloads the service: it serves the old one until that ends", "have the renewal reload it (certbot: --deploy-hook 'systemctl reload nginx', or an executable in /etc/letsencrypt/renewal-hooks/deploy; acme.sh: --reloadcmd; certmonger: -C; agents: command)";
    AUTHORITY_MISMATCH = "authority.pair-mismatch", High, open, "the key of an authority is not that of its certificate: the service does not start", "put certificate and key of one authority together";
    AUTHORITY_EXPIRED = "authority.expired", High, open, "the authority that a service signs with is expired or not valid yet: it does not start", "renew the authority, and write its certificate here";
    AUTHORITY_LEAF = "authority.not-a-ca", High, open, "what a service signs with is no authority", "name the certificate of an authority (CA:TRUE, keyCertSign) and its key";
    AUTHORITY_PATH = "authority.path", High, open, "the authority that a service signs with does not lead to its bundle: the service does not start", "write the root that it leads to into the bundle";
    AUTHORITY_FORM = "authority.form", High, open, "a file of an authority holds more than its service takes: it does not start",
        "keep one block PRIVATE KEY in the key's file, and nothing but CERTIFICATE blocks in those of certificates";
    AUTHORITY_LENGTH = "authority.path-length", High, open, "an authority that may have no authority below it: what the service signs by is refused",
        "have the authority re-issued with a path length of 1 and more, or without one";
    AUTHORITY_INTERMEDIATE = "authority.bundle-intermediate", Medium, open, "a bundle without a self-signed root: peers with OpenSSL refuse everything below it",
        "write the root into bundle_file_path, and the intermediates behind the authority in cert_file_path";
    AUTHORITY_BUNDLE = "authority.bundle-unset", High, open, "an authority below another needs a bundle: the service does not start", "set bundle_file_path to the root, or keep one self-signed certificate in cert_file_path";
    UNREAD_FOR_SERVICE = "file.unreadable-for-service", High, open, "the account that a service runs as may not read a file that it needs", "give the account the right to enter the directories on the way and to read the file";
    KEY_KIND = "key.kind-unknown", Info, open, "a private key of a kind that is not opened here: whether it belongs to its certificate is not known", "compare by hand: openssl pkey -in KEY -pubout and openssl x509 -in CERTIFICATE -noout -pubkey print the same";
    KEY_GO = "key.unusable-for-go", High, open, "a private key of a kind that Go does not read: the service does not start", "use a key of P-256, P-384, Ed25519, or RSA without a restriction to PSS";
    KEY_DER = "pair.key-der", High, open, "a private key in DER where services read PEM", "convert it: openssl pkey -inform der -in FILE -out FILE.pem";
}
