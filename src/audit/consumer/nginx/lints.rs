//! What can be wrong in an nginx configuration.

use crate::judge::lint::catalogue;

catalogue! {
    INCLUDE_ABSENT = "nginx.include-absent", High, open, "an included file does not exist: nginx does not start",
        "create the file that the include names, or remove the include";
    INCLUDE_DIRECTORY = "nginx.include-directory", High, open, "an include pattern matches a directory: nginx does not start",
        "write the pattern so that it matches files only, such as conf.d/*.conf";
    INCLUDE_LOOP = "nginx.include-loop", High, open, "a file includes itself: nginx does not start",
        "remove the include that leads back";
    BACKUP_INCLUDED = "nginx.backup-included", Medium, open, "a backup copy is part of the configuration, because an include pattern matches it",
        "move the copy out of the included directory, or include *.conf only";
    DIRECTIVE_UNKNOWN = "nginx.directive-unknown", High, open, "a directive that nginx does not know: it does not start",
        "correct the name of the directive";
    DIRECTIVE_MISPLACED = "nginx.directive-misplaced", High, open, "a directive where nginx does not allow it: it does not start",
        "move the directive to the block that it belongs in";
    DIRECTIVE_TWICE = "nginx.directive-twice", High, open, "a directive twice in one block: nginx does not start",
        "keep one of the two lines";
    VALUE_INVALID = "nginx.value-invalid", High, open, "a value that nginx does not take: it does not start", "correct the value";
    BLOCK_ABSENT = "nginx.block-absent", High, open, "a block that nginx must have is not there: it does not start", "write events { } outside of any block";
    SERVER_INCOMPLETE = "nginx.server-incomplete", High, open, "a server of stream or mail without what it must have: nginx does not start",
        "add the directive to the server block, or remove the block";
    FILE_ABSENT = "nginx.file-absent", High, open, "a file that nginx opens at its start does not exist: nginx does not start",
        "create the file, or correct the path";
    KEY_ABSENT = "nginx.key-unset", High, open, "a certificate without a key: nginx does not start",
        "add the ssl_certificate_key (proxy_ssl_certificate_key) line beside the certificate's, in the same order";
    CERTIFICATE_UNSET = "nginx.certificate-unset", High, open, "a TLS listener whose default server has no certificate: nginx does not start",
        "add ssl_certificate and ssl_certificate_key to the server block";
    CERTIFICATE_DEFAULT = "nginx.certificate-of-default", Medium, open, "a server on a TLS listener has no certificate: the default server's is shown instead",
        "add ssl_certificate and ssl_certificate_key to the server block";
    PLAIN = "nginx.plain-http", High, open, "plain HTTP where HTTPS is meant", "add ssl to the listen line";
    SSL_ON = "nginx.ssl-on", Low, open, "ssl on: nginx 1.25.1 and later do not start with it", "remove the line and add ssl to each listen line that is TLS";
    CLIENT_CA_UNSET = "nginx.client-ca-unset", High, open, "client certificates are asked for with nothing to judge them by: nginx does not start",
        "add ssl_client_certificate with the file that holds the root";
    CLIENT_UNCHECKED = "nginx.client-unchecked", Medium, open, "any client certificate is taken, whoever signed it",
        "set ssl_verify_client on with ssl_client_certificate, or refuse where $ssl_client_verify is not SUCCESS";
    PROTOCOLS_OLD = "nginx.protocols-old", Medium, open, "TLS versions that RFC 8996 forbids", "set ssl_protocols TLSv1.2 TLSv1.3";
    CIPHERS_WEAK = "nginx.ciphers-weak", Medium, open, "ciphers without authentication, or broken ones",
        "remove the ssl_ciphers line, or take the weak names out of it";
    IDENTITY = "nginx.identity-given-away", Medium, open, "a proxy shows its own client certificate for callers that showed none",
        "set ssl_verify_client on with ssl_client_certificate in the server block, or let callers speak to the service themselves and remove the proxy";
    UPSTREAM_UNVERIFIED = "nginx.upstream-unverified", Medium, open, "the certificate of an HTTPS upstream is not checked",
        "set proxy_ssl_verify on, proxy_ssl_trusted_certificate to the root and proxy_ssl_name to the name in the upstream's certificate";
    UPSTREAM_TRUST_UNSET = "nginx.upstream-trust-unset", High, open, "the upstream's certificate is to be checked with nothing to judge it by: nginx does not start",
        "add proxy_ssl_trusted_certificate with the file that holds the root";
    UPSTREAM_NAME = "nginx.upstream-name", Medium, open, "the name that is looked for in the upstream's certificate is not a name that it can have",
        "set proxy_ssl_name to a DNS name of the upstream's certificate";
    UPSTREAM_SNI = "nginx.upstream-sni", Low, open, "the upstream is not told which name is meant",
        "set proxy_ssl_server_name on";
    UPSTREAM_SCHEME = "nginx.upstream-scheme", Medium, open, "scheme and port of an upstream do not belong together",
        "write the scheme and the port that the upstream speaks";
    NAME_CONFLICT = "nginx.server-name-conflict", Medium, open, "the same server name twice on one address: nginx ignores the second",
        "remove one of the two server blocks, or give it another name";
    NAME_UNICODE = "nginx.name-unicode", High, open, "a server name that is not in its ASCII form: no client asks for it, and the block is never chosen by it", "write the name in its ASCII form (xn--…)";
    LISTEN_CONFLICT = "nginx.listen-conflict", High, open, "two listen lines that exclude each other: nginx does not start",
        "keep one of them";
    KEY_UNDER_ROOT = "nginx.key-under-root", High, open, "a private key lies below a directory that is served",
        "move the key to a directory that no root or alias names, and replace it: it may have been downloaded";
    KEY_INLINE = "nginx.key-inline", High, open, "a private key stands in the configuration itself", "write it to a file with mode 0600, name that, and replace the key";
    KEY_ELSEWHERE = "nginx.key-elsewhere", Info, open, "the key is in an engine or store: whether it fits is seen at the handshake only", "look at the handshake: omens probe HOST:PORT, or chain-audit HOST:PORT";
    FROM_VARIABLE = "nginx.path-from-variable", Info, open, "the path is made of variables: what it names is known at the handshake only", "look at the handshake for each name: omens probe HOST:PORT, or chain-audit of the files themselves";
}
