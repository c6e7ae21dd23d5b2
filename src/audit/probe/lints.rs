//! The causes that a probe can name.

use crate::judge::lint::catalogue;

catalogue! {
    ACCEPTED = "probe.accepted", Info, open, "both sides accept each other", "nothing to do";
    UNREACHABLE = "probe.unreachable", High, open, "nobody answers there", "start the service, or correct address and port; look at firewalls on the way";
    STALLED = "probe.stalled", High, open, "the connection stands, and the handshake does not come to an end", "look at the service: it hangs, or something on the way holds its packets back";
    PLAIN_HTTP = "probe.plain-http", High, open, "plain HTTP is spoken there, no TLS", "call it by http:// and its own port, or turn TLS on at that listener";
    NOT_TLS = "probe.not-tls", High, open, "something else than TLS is spoken there", "correct the port";
    STARTTLS_REFUSED = "probe.starttls-refused", High, open, "the server does not go over to TLS", "turn STARTTLS on at the server, or name the protocol that is spoken on this port";
    STARTTLS_INJECTED = "probe.starttls-injected", High, open, "bytes came in clear behind the server's consent to TLS", "do not use this way: the server, or somebody between, puts words into the encrypted session; update the server, and find out who is on the way";
    OLD_TLS = "probe.old-tls", High, open, "nothing newer than TLS 1.1 is spoken there", "allow TLS 1.2 and 1.3 on the server: RFC 8996 forbids what is older";
    SERVER_EXPIRED = "probe.server-expired", High, open, "the server's certificate, or an authority above it, is expired or not valid yet", "renew it and have the service take it up; if it was renewed, the service still serves the old one";
    SERVER_NAME = "probe.server-name", High, open, "the name that is called is not among the server's names", "call it by one of its names, or have the certificate re-issued with this one";
    SERVER_EKU = "probe.server-eku", High, open, "the server's certificate may not be used by a TLS server", "have it issued with serverAuth: set server_flag=true on the OpenBao role";
    SERVER_INCOMPLETE = "probe.server-missing-intermediate", High, open, "the server does not send the intermediate", "put leaf and intermediate into the file that the server sends, the leaf first";
    SERVER_UNTRUSTED = "probe.server-untrusted", High, open, "we do not trust the root of the server's chain", "add that root to what we trust, or have the server's certificate issued below ours";
    ROOT_OTHER_KEY = "probe.root-other-key", High, open, "the server's root has the name of ours and another key", "find out who made the other root: ours was replaced, or somebody imitates it";
    CLIENT_NOT_SENT = "probe.client-not-sent", High, open, "the server wants a client certificate, and none was sent", "give the client its certificate and key: a misspelled option is ignored by many programs without a word";
    CLIENT_EXPIRED = "probe.client-expired", High, open, "our client certificate is expired or not valid yet", "renew it, and have the client load it again";
    CLIENT_EKU = "probe.client-eku", High, open, "our certificate may not be used by a TLS client", "have it issued with clientAuth: set client_flag=true on the OpenBao role";
    CLIENT_OTHER_CA = "probe.client-other-ca", High, open, "our client certificate is from another authority than those the server accepts", "show a certificate of one of the authorities that the server names, or add ours to its list";
    CLIENT_ROOT = "probe.client-root-untrusted", High, open, "the server's trust list holds our intermediate, but not the root above it", "add the root to the server's list: OpenSSL follows a chain up to a self-signed certificate";
    CLIENT_INCOMPLETE = "probe.client-missing-intermediate", High, open, "our client certificate is sent without the intermediate that the server lacks", "put leaf and intermediate into the client's certificate file, or the intermediate into the server's list";
    CLIENT_UNTRUSTED = "probe.client-untrusted", High, open, "the server does not trust our client certificate", "compare the issuer of our certificate with the server's trust list: it needs the root, not the intermediate alone";
    NAME_UNKNOWN = "probe.name-unknown", High, open, "the server knows no host of the name that was asked for (RFC 6066 §3)", "ask by a name that it serves (--server-name), or add the name to the server's configuration";
    NO_COMMON = "probe.no-common-cipher", High, open, "the server and we have no cipher suite, group or signature scheme in common", "allow ECDHE with AES-GCM or ChaCha20, and P-256 or X25519, on the server";
    PROXY_LINE = "probe.proxy-protocol", High, open, "the listener wants a line of the PROXY protocol before TLS, and closes without one", "call it through the load balancer that it stands behind, or take proxy_protocol out of the listener";
    STARTTLS_WANTED = "probe.starttls-wanted", High, open, "another protocol is spoken there, which goes over to TLS when it is asked (STARTTLS)", "ask again with --starttls and the protocol";
    SERVER_REFUSED = "probe.server-refused", High, open, "the server ended the handshake", "see the server's log at this time";
    WE_REFUSED = "probe.we-refused", High, open, "we ended the handshake", "look at what the server sends, which is in the text: openssl s_client -connect HOST:PORT -showcerts; if it is more than clients take, shorten the chain or the list of names, else mend the server";
}
