//! The part of the catalogue that only judging without a request needs: revocation lists, names that were asked for by hand, what is about to
//! end, and what one kind of peer refuses. It must never hold a check.

use super::catalogue;

const KEY: &str = "make a new key of P-256, P-384, or RSA with 2048 bits and more, and have it certified";
const NAME: &str = "have the certificate signed again with every name that clients use among its subject alternative names";
const LIST: &str =
    "fetch the current list of the issuer that is named (OpenBao: GET pki/crl/pem of the mount, and pki/crl/rotate where it is old)";
const CRL_ISSUER: &str = "have the authority re-issued with keyUsage keyCertSign, cRLSign: its lists are refused otherwise";
const CA: &str = "have the authority re-issued without it, or with it as RFC 5280 asks";

catalogue! {
    KEY_WEAK = "key.weak", High, fixed, "a key that is too weak, or of a kind that nobody should trust", KEY;
    KEY_RARE = "key.not-everywhere", Medium, open, "a key of a kind that rustls and Go have no handshake for (RSASSA-PSS, Ed448, RSA without NULL as parameters)", KEY;
    EKU_EMPTY = "eku.empty", High, fixed, "an extended key usage that names no purpose: rustls, OpenSSL and Python refuse it",
        "have the certificate signed again with the purposes it is used for, or without the extension";

    EXT_EMPTY = "ext.empty", Low, open, "an extension with an empty list, where at least one entry is due, or a key usage without a bit (RFC 5280 §4.2)", "have it issued again with something in it, or without the extension";

    NAME_ABSENT = "name.absent", High, fixed, "a server's certificate without any subject alternative name", NAME;
    NAME_ONLY_CN = "name.only-in-common-name", High, fixed, "the name is in the common name only: rustls and Go do not look there", NAME;
    NAME_PARTIAL = "name.partial-wildcard", High, fixed, "a wildcard that is no whole first label: rustls and Go refuse it", NAME;
    NAME_OTHER_MALFORMED = "name.other-malformed", Low, open, "a URI without a scheme, or an e-mail address that is none, among the names (RFC 5280 §4.2.1.6)", "have it signed with the whole URI, such as spiffe://DOMAIN/PATH, or the bare address, such as web@funlab.casa";
    NAME_EMPTY_PART = "name.empty-part", Low, open, "an empty RelativeDistinguishedName (RFC 5280 §4.1.2.4): OpenSSL and Go read over it, others read no further", "have it issued again with an attribute in every RelativeDistinguishedName of issuer and subject";
    NAME_LOCALHOST = "name.localhost", Low, open, "localhost or a loopback address among the names: good for a man in the middle on any host", "have it signed without localhost, where no service on this host is called by that name";

    RENEWAL_DUE = "validity.renewal-due", Low, open, "less than a third of its life is left: renewal is due", "renew it, and look at why its timer has not";
    EXPIRES_SOON = "validity.expires-soon", Medium, open, "less than a tenth of its life is left", "renew it now, and look at why its timer has not";
    DATE_ENCODING = "validity.encoding", Low, open, "a date before 2050 as GeneralizedTime (RFC 5280 §4.1.2.5)", "have it issued again with UTCTime for dates before 2050: some readers refuse the other form";
    DATE_UNREADABLE = "validity.unreadable", High, open, "a date without seconds, or in another time zone than Z (RFC 5280 §4.1.2.5): rustls and OpenSSL cannot read it", "have it issued again with dates that end in seconds and Z, as OpenBao writes them";

    PATH_DEEP = "path.too-deep", High, fixed, "more intermediates than were allowed", "allow more with --max-depth, or shorten the chain";
    CA_EXPIRES_SOON = "ca.expires-soon", Medium, open, "an intermediate with less than a tenth of its life left",
        "make a new intermediate now, and sign new leaves with it before the old one ends";
    CA_NC_EMPTY = "ca.name-constraints-empty", Medium, open, "name constraints of an authority that constrain nothing (RFC 5280 §4.2.1.10): Go refuses them", CA;
    CA_NC_DOT = "ca.name-constraints-leading-dot", Medium, open, "a DNS name constraint with a leading dot (RFC 5280 §4.2.1.10): peers read it differently", CA;
    CA_NOT_CRITICAL = "ca.constraint-not-critical", Medium, open, "a constraint on policies that is not critical (RFC 5280 §4.2.1.11, §4.2.1.14)", CA;

    ANCHOR_NONE = "anchor.none", High, fixed, "nothing is trusted: no anchor was given, or none can be read", "name the root in --anchor";
    ANCHOR_EXPIRES_SOON = "anchor.expires-soon", Medium, open, "a root with less than a tenth of its life left",
        "make a new root now, cross-sign it, and give it to every trust list before the old one ends";

    CRL_MISSING = "crl.missing", High, fixed, "no revocation list covers a certificate of the path", LIST;
    CRL_REVOKED = "crl.revoked", High, fixed, "a certificate of the path is revoked", "renew it with a new key, and find out why it was revoked";
    CRL_EXPIRED = "crl.expired", High, fixed, "the revocation list is over its nextUpdate", LIST;
    CRL_NOT_YET = "crl.not-yet-valid", Medium, open, "the revocation list is of the future", "compare this host's clock with the issuer's";
    CRL_SIGNATURE = "crl.signature", High, fixed, "a revocation list of the issuer's name that its key did not sign", LIST;
    CRL_NO_SIGN = "crl.issuer-no-crl-sign", High, open, "the issuer of a revocation list has a keyUsage without cRLSign: OpenSSL refuses it", CRL_ISSUER;
    CRL_NUMBER_MISSING = "crl.number-missing", Medium, open, "a revocation list without a number (RFC 5280 §5.2.3)", LIST;
    CRL_NUMBER_CRITICAL = "crl.number-critical", Medium, open, "a revocation list whose number is critical (RFC 5280 §5.2.3): OpenSSL refuses it", LIST;
    CRL_MALFORMED = "crl.malformed", High, fixed, "a revocation list that does not parse", LIST;
    CRL_UNSUPPORTED = "crl.unsupported", High, fixed, "a delta, indirect or partial revocation list", "give the full list of the issuer; OpenBao makes one unless delta lists are switched on";
}
