//! What can be wrong in OpenBao's configuration, policies and PKI roles.

use crate::judge::lint::catalogue;

const PATCH: &str = "bao patch the field (bao write would put all others back to their defaults)";

catalogue! {
    OPTION_UNKNOWN = "openbao.option-unknown", Medium, open, "an option that OpenBao does not know: it warns once at its start and goes on without it",
        "correct the name of the option, or remove the line";
    VALUE_INVALID = "openbao.value-invalid", High, open, "a value that OpenBao does not take: it does not start", "correct the value";
    LISTENER_TYPE = "openbao.listener-type", High, open, "a listener that is neither tcp nor unix: OpenBao does not start", "write listener \"tcp\"";
    TLS_DISABLED = "openbao.tls-disabled", High, open, "the listener speaks plain HTTP: tokens and answers can be read on the way",
        "remove tls_disable and set tls_cert_file and tls_key_file";
    CERTIFICATE_UNSET = "openbao.certificate-unset", High, open, "a TLS listener without a certificate: OpenBao waits for ACME and every handshake fails, Vault does not start",
        "set tls_cert_file (leaf and intermediate) and tls_key_file";
    KEY_UNSET = "openbao.key-unset", High, open, "a certificate without its key: the listener does not start", "set tls_key_file";
    TLS_OLD = "openbao.tls-old", Medium, open, "TLS versions that RFC 8996 forbids", "set tls_min_version = \"tls12\"";
    CLIENT_CONFLICT = "openbao.client-certificates-conflict", High, open, "client certificates are demanded and switched off at once: OpenBao does not start",
        "keep one of tls_require_and_verify_client_cert and tls_disable_client_certs";
    CLIENT_CA_UNUSED = "openbao.client-ca-unused", Medium, open, "tls_client_ca_file is without effect: client certificates are asked for, but nobody checks them",
        "set tls_require_and_verify_client_cert = true, or remove the line";
    CLIENT_CA_UNSET = "openbao.client-ca-unset", Medium, open, "client certificates are judged by the system's roots, which a private PKI is none of",
        "set tls_client_ca_file to the root";
    CERT_LOGIN_OFF = "openbao.client-certificates-off", Low, open, "the listener asks for no client certificate: nobody can log in with one",
        "remove tls_disable_client_certs if auth/cert is used";
    ADDRESS_HTTP = "openbao.address-http", Medium, open, "the address that clients and peers are sent to is plain HTTP", "write https:// in api_addr and cluster_addr";
    STORAGE_MEMORY = "openbao.storage-in-memory", High, open, "storage in memory: keys, roles and issued certificates are gone after a restart", "use storage \"raft\"";
    STORAGE_GONE = "openbao.storage-unknown", High, open, "a storage that OpenBao no longer has: it does not start", "use storage \"raft\", and migrate with bao operator migrate";
    SEAL_LEFT = "openbao.seal-removed", Medium, open, "a seal that OpenBao 2.7 has no longer in its binary: it does not start without its plugin",
        "install and configure the plugin of the seal, or migrate to transit or static before the upgrade";
    CLUSTER_UNSET = "openbao.cluster-address-unset", Medium, open, "raft without a cluster address: the server does not start unless its environment has one",
        "set api_addr and cluster_addr";
    MLOCK = "openbao.mlock", High, open, "disable_mlock = false: OpenBao has no mlock any more, and does not start", "remove the line, and encrypt or switch off swap";
    SECRET = "openbao.secret-in-file", Medium, open, "a secret of the seal in clear in the configuration", "give it by the environment or a credential file, and replace it";
    SEAL_KEY = "openbao.seal-key-in-file", High, open, "the key that unseals the storage stands in the configuration", "name a file with mode 0600 (file://…) or a credential, and rotate the key";
    SKIP_VERIFY = "openbao.verification-off", High, open, "the certificate of a server that is called is not checked", "remove the line and name the root";
    RAW_ENDPOINT = "openbao.raw-endpoint", Medium, open, "sys/raw is switched on: it reads and writes past every policy", "remove raw_storage_endpoint";
    DATA_DIRECTORY = "openbao.data-directory", Low, open, "the storage directory is open to others", "chmod 0700 the directory";

    POLICY_VERBATIM = "openbao.sign-verbatim", High, open, "a policy grants sign-verbatim: any name and any usage, past every role", "grant update on PKI/sign/ROLE instead";
    POLICY_SELF = "openbao.policy-role-write", High, open, "a policy lets its holder change roles or issuers of the PKI", "grant update on PKI/sign/ROLE alone to hosts";
    POLICY_ISSUE = "openbao.policy-issue", Medium, open, "a policy grants issue: the private key is made by the server and crosses the network", "grant update on PKI/sign/ROLE, and send a CSR";
    POLICY_REVOKE = "openbao.policy-revoke", Medium, open, "a policy lets its holder revoke any certificate of the mount", "leave revocation to operators";
    POLICY_ALL = "openbao.policy-everything", High, open, "a policy grants everything", "name the paths that are needed";

    ROLE_NOT_AFTER = "openbao.role-not-after", Medium, open, "a request may set notAfter beyond the role's max_ttl, and into the past", PATCH;
    ROLE_ANY_NAME = "openbao.role-any-name", High, open, "the role signs any name", PATCH;
    ROLE_SUBDOMAINS = "openbao.role-subdomains", Medium, open, "the role signs any name below its domains: one host can become another", PATCH;
    ROLE_GLOB = "openbao.role-glob", Medium, open, "the role takes patterns for names", PATCH;
    ROLE_WILDCARD = "openbao.role-wildcard", Medium, open, "the role signs wildcards", PATCH;
    ROLE_HOSTNAMES = "openbao.role-hostnames", Medium, open, "the role signs names that are no host names", PATCH;
    ROLE_IP = "openbao.role-any-address", Medium, open, "the role signs any IP address", PATCH;
    ROLE_URI = "openbao.role-any-uri", High, open, "the role signs any URI: any SPIFFE ID as well", PATCH;
    ROLE_EKU = "openbao.role-purpose", High, open, "the role signs for purposes that the profile does not allow", PATCH;
    ROLE_EKU_MISSING = "openbao.role-purpose-missing", High, open, "the role does not sign for a purpose that the profile requires", PATCH;
    ROLE_EKU_ANY = "openbao.role-any-purpose", High, open, "the role signs for any purpose", PATCH;
    ROLE_BOTH = "openbao.role-both-purposes", Low, open, "the role signs for servers and clients alike, as roles do by default", PATCH;
    ROLE_AGENT = "openbao.role-agent-client", High, open, "the role gives Keylime agents client certificates: each host becomes an administrator of Keylime", PATCH;
    ROLE_KU = "openbao.role-key-usage", Medium, open, "key usages that do not fit the kind of key, or that the profile does not allow", PATCH;
    ROLE_TTL = "openbao.role-max-ttl", Medium, open, "the role allows longer lifetimes than the profile", PATCH;
    ROLE_TTL_SHORT = "openbao.role-max-ttl-short", Medium, open, "the role clips lifetimes below what the profile demands", PATCH;
    ROLE_KEY = "openbao.role-key", Medium, open, "the role wants a kind of key that the profile does not allow", PATCH;
    ROLE_KEY_WEAK = "openbao.role-key-weak", Medium, open, "the role takes weak keys", PATCH;
    ROLE_SIGNATURE = "openbao.role-signature", High, open, "the role signs with a weak hash", PATCH;
    ROLE_NO_STORE = "openbao.role-no-store", Medium, open, "the role's certificates are not stored: none can be revoked by serial or compared", PATCH;
    ROLE_LOCALHOST = "openbao.role-localhost", Info, open, "the role signs localhost", PATCH;
    ROLE_CONSTRAINTS = "openbao.role-basic-constraints", Low, open, "leaves without basicConstraints: some strict clients refuse them", PATCH;
    ISSUER_BEYOND = "openbao.issuer-not-after", Medium, open, "the issuer signs certificates that outlive it", "set leaf_not_after_behavior=err on the issuer";
}
