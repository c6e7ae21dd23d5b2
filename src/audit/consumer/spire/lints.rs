//! What can be wrong in SPIRE's configuration.

use crate::judge::lint::catalogue;

const OPTION: &str = "correct the name of the option; spire-server validate does not see it";
const RENEW: &str = "name the paths of one generation in a plugin_data_file, rewrite it at each renewal and send USR1";

catalogue! {
    KEY_UNKNOWN = "spire.key-unknown", High, open, "a key that SPIRE does not know in its own section: it ends with \"Unknown configuration detected\"",
        "correct the name of the key, or remove the line";
    KEY_MISSING = "spire.key-missing", High, open, "a mandatory key is not set: SPIRE does not start", "add the key";
    VALUE_INVALID = "spire.value-invalid", High, open, "a value that does not work", "correct the value";
    KIND_UNKNOWN = "spire.plugin-type", High, open, "a plugin type that SPIRE does not have: it does not start", "correct the plugin's type";
    PLUGIN_UNKNOWN = "spire.plugin-unknown", High, open, "a plugin that is neither built in nor has a plugin_cmd: SPIRE does not start",
        "correct its name, or add plugin_cmd and plugin_checksum";
    PLUGIN_MISSING = "spire.plugin-missing", High, open, "a plugin that SPIRE cannot do without is missing, or there is one too many: it does not start",
        "configure exactly one KeyManager; a server needs a DataStore, an agent one NodeAttestor and a WorkloadAttestor";
    BLOCK_KEY = "spire.plugin-key-unknown", Medium, open, "a key of a plugin block that SPIRE ignores in silence", OPTION;
    OPTION_UNKNOWN = "spire.option-unknown", Medium, open, "a plugin option that the plugin ignores in silence: its default applies", OPTION;
    DATA_TWICE = "spire.data-twice", High, open, "plugin_data and plugin_data_file in one block: SPIRE does not start", "keep one of the two";
    DATA_ABSENT = "spire.data-file-absent", High, open, "a plugin_data_file that does not exist: SPIRE does not start", "create the file, or correct the path";
    DATA_RELATIVE = "spire.data-file-relative", Low, open, "a relative plugin_data_file depends on the directory that SPIRE is started in", "write the absolute path";
    BINARY_ABSENT = "spire.plugin-absent", High, open, "the binary of a plugin does not exist: SPIRE does not start", "install the plugin, or correct plugin_cmd";
    BINARY_WRITABLE = "spire.plugin-writable", High, open, "the binary of a plugin may be written by others: it runs as part of SPIRE", "chmod go-w, then compare it with its source";
    CHECKSUM_ABSENT = "spire.checksum-absent", Low, open, "an external plugin without plugin_checksum: any binary at its path is run",
        "set plugin_checksum to the output of sha256sum";
    CHECKSUM_WRONG = "spire.checksum-mismatch", High, open, "plugin_checksum is not that of the binary: SPIRE does not start (\"checksums did not match\")",
        "set plugin_checksum to the output of sha256sum, after you know where the binary comes from";
    SKIP_VERIFY = "spire.verification-off", High, open, "the certificate of the upstream authority is not checked",
        "remove insecure_skip_verify and name the root in ca_cert_path";
    BOOTSTRAP = "spire.insecure-bootstrap", High, open, "the agent believes whoever answers first to be its server",
        "remove insecure_bootstrap and set trust_bundle_path to a bundle that was brought by another way";
    BOOTSTRAP_NONE = "spire.bootstrap-unset", High, open, "the agent has nothing to know its server by: it does not start", "set trust_bundle_path";
    BUNDLE_HTTP = "spire.trust-bundle-http", High, open, "the trust bundle is fetched over plain HTTP: the agent refuses to start", "use an https:// URL, or trust_bundle_path";
    MEMORY = "spire.keys-in-memory", Medium, open, "the server keeps its CA keys in memory: after a restart it is another authority, and every agent exits",
        "use KeyManager \"disk\" (keys_path) or a KMS";
    AGENT_MEMORY = "spire.agent-keys-in-memory", Low, open, "the agent keeps its key in memory: it attests anew at every start", "use KeyManager \"disk\"";
    JOIN_TOKEN = "spire.join-token", Medium, open, "join tokens are good once: an agent that is evicted or whose identity ends exits for good",
        "use x509pop, tpm_devid or the Keylime plugin";
    TOKEN_IN_FILE = "spire.token-in-file", Medium, open, "a secret in clear in the configuration", "give it to the service by its environment or a credential file, and replace it";
    PATH_TEMPLATE = "spire.agent-path-template", Medium, open, "x509pop names an agent by its certificate's fingerprint: each renewal makes another identity",
        "set agent_path_template = \"/x509pop/cn/{{ .Subject.CommonName }}\"";
    LOADED_ONCE = "spire.pair-loaded-once", Medium, open, "the plugin loads its client pair once: a renewed one is not taken up, and the agent exits when the old one ends", RENEW;
    KEYLIME_PORT = "spire.keylime-port", High, open, "the Keylime plugin is sent to a port that is not the verifier's", "set keylime_verifier_port = \"8881\"";
    KEYLIME_PAIR_UNSET = "spire.keylime-pair-unset", High, open, "a trust list for the Keylime verifier is set, and no client certificate to show it",
        "set keylime_tls_cert_file and keylime_tls_key_file to a pair with clientAuth of the PKI that the verifier trusts";
    KEYLIME_PAIR = "spire.keylime-pair-incomplete", High, open, "certificate without key, or key without certificate", "set both, or neither";
    KEYLIME_PLAIN = "spire.keylime-agent-plain", Medium, open, "certificates for the Keylime agent are configured, and it is called in plain HTTP", "set keylime_agent_use_tls = true";
    KEYLIME_ADMIN = "spire.keylime-administrator", Medium, open,
        "the client certificate for the Keylime agent is that of a Keylime administrator if the verifier trusts its CA",
        "issue it from an authority that is not in the verifier's trusted_client_ca, and name that in the agent's trusted_client_ca";
    AUTHORITY_ABSENT = "spire.authority-absent", High, open, "a file of the upstream authority does not exist: the server does not start", "create the file, or correct the path";
    UPSTREAM_HTTP = "spire.plain-http", High, open, "plain HTTP where a certificate should tell who answers", "use https://";
    SYNC = "spire.sync-interval", Low, open, "a renewed certificate is taken up only after file_sync_interval (default one hour)", "set file_sync_interval = \"1m\"";
    SOCKET = "spire.socket-path", High, open, "a socket path that is too long", "use a shorter path, such as /run/spire/agent.sock";
    DATA_DIRECTORY = "spire.data-directory", Low, open, "the data directory is open to others", "chmod 0700 the directory";
    KEYS_READABLE = "spire.keys-readable", High, open, "the file with SPIRE's own keys is readable by others", "chmod 0600 the file, then rotate the keys";
    TRUST_DOMAIN = "spire.trust-domain", High, open, "agent and server of this host have different trust domains: the agent cannot attest", "write the same trust_domain in both";
    SERVER_PORT = "spire.server-port", High, open, "the agent is sent to a port that the server of this host does not listen on", "set server_port to the server's bind_port";
}
