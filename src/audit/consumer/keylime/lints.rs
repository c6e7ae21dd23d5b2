//! What can be wrong in Keylime's configuration.

use crate::judge::lint::catalogue;

const LIST: &str = "write a Python list with the root and the intermediate: trusted_client_ca = ['root.crt', 'intermediate.crt']";
const RESTART: &str = "correct the line and restart the service: Keylime reloads nothing";

catalogue! {
    SECTION_MISSING = "keylime.section-missing", High, open, "a configuration file without the section that its service reads",
        "rename the section: [verifier] in verifier.conf, [registrar] in registrar.conf, [tenant] in tenant.conf, [agent] in agent.conf; Keylime 6's [general], [cloud_verifier] and [cloud_agent] are not read";
    SECTION_IGNORED = "keylime.section-ignored", Medium, open, "a section that nobody reads",
        "move its options to the section of the service under the names of Keylime 7, and remove it";
    FILE_IGNORED = "keylime.file-ignored", High, open, "a configuration file that nobody reads",
        "write its settings to /etc/keylime/agent.conf, section [agent], under the names of Keylime 7, and remove it";
    BACKUP_READ = "keylime.backup-read", Medium, open, "a backup copy among the drop-ins: Keylime reads every file of the directory",
        "move the copy out of the directory and restart the service";
    OPTION_TWICE = "keylime.option-twice", High, open, "an option or section twice in one file: the service does not start",
        "keep one of the two lines; put what a host changes into a drop-in file";
    OPTION_UNKNOWN = "keylime.option-unknown", Medium, open, "an option that Keylime does not know: it is ignored in silence",
        "correct the name of the option, or remove the line";
    OPTION_MISSING = "keylime.option-missing", High, open, "a mandatory option is not set: the verifier ends with an exception",
        "add the option; the file that Keylime ships has its default";
    INLINE_COMMENT = "keylime.inline-comment", High, open, "a comment behind a value becomes part of the value",
        "put the comment on a line of its own";
    VALUE_INVALID = "keylime.value-invalid", High, open, "a value that the service does not understand: it does not start", RESTART;
    LIST_EXPECTED = "keylime.list-expected", High, open, "a bare path where Keylime wants a Python list: the service does not start", LIST;
    CLIENT_CA_UNSET = "keylime.client-ca-unset", High, open,
        "no trusted_client_ca: every client certificate that is shown is refused (\"unknown ca\"), and without one the answer is 403", LIST;
    SERVER_CA_UNSET = "keylime.server-ca-unset", Medium, open, "no trusted_server_ca: there is nothing to judge servers and agents by",
        "set trusted_server_ca to a Python list with the root and the intermediate: the agents send their leaf alone";
    MODE = "keylime.mode-unknown", High, open, "neither pull nor push: the verifier starts, and has no way to attest anything",
        "set mode = pull or mode = push and restart keylime_verifier";
    AGENT_MTLS = "keylime.agent-mtls-off", High, open, "agents are spoken to without TLS (GHSA-2m39-75g9-ff5r)",
        "set enable_agent_mtls to true; it never switched the verifier's own client certificates off";
    EK_UNCHECKED = "keylime.ek-unchecked", High, open, "endorsement keys are not checked: any software TPM is accepted",
        "set require_ek_cert = True and fill tpm_cert_store, or name an ek_check_script that compares the EK with a list";
    SHA1 = "keylime.sha1", Medium, open, "SHA-1 is accepted for PCRs and quotes", "take sha1 out of the list";
    GENERATED = "keylime.tls-generated", Medium, open, "Keylime's own authority: certificates for a year that nothing renews",
        "set tls_dir, server_key, server_cert and the trusted lists to the files of your PKI";
    INTERVAL = "keylime.quote-interval", Medium, open, "the verifier calls an agent TIMEOUT between two of its quotes",
        "raise quote_interval to the agents' attestation_interval_seconds or more: the verifier waits five times as long";
    CLIENT_IS_SERVER = "keylime.client-cert-shared", Medium, open, "one certificate for serving and for calling agents",
        "issue a client certificate (clientAuth) of its own for client_cert: agents refuse one with serverAuth alone, and one with both makes the serving key an administrator's";
    REGISTRAR_PORT = "keylime.registrar-port", High, open, "the agent speaks plain HTTP to a registrar port that speaks TLS: it hangs before it opens its own",
        "set registrar_port = 8890; the pull agent ignores registrar_tls_enabled and always speaks plain HTTP there";
    REGISTRAR_TLS = "keylime.registrar-tls-ignored", Medium, open, "registrar_tls_enabled is ignored by the pull agent: it registers in plain HTTP",
        "do not count on TLS there: keep port 8890 reachable from the estate's hosts only";
    REGISTRAR_PLAIN = "keylime.registrar-tls-port", High, open, "a TLS client is sent to the registrar's plain HTTP port",
        "set registrar_port = 8891, the registrar's tls_port";
    UUID_DEFAULT = "keylime.uuid-default", Medium, open, "the default agent UUID, which every agent without a configuration shares",
        "set uuid to one of this host's own (uuidgen), or to \"hash_ek\", and delete the old record at the verifier and the registrar";
    UUID_GENERATED = "keylime.uuid-generated", Medium, open, "a new agent UUID at every start: the verifier's record is of no use after one",
        "set uuid to a fixed one of this host's own, or to \"hash_ek\"";
    UUID_MALFORMED = "keylime.uuid-malformed", High, open, "a malformed agent UUID: the agent warns and makes a new one at every start",
        "set uuid to a UUID such as uuidgen prints, or to \"hash_ek\"";
    UUID = "keylime.agent-uuid", Info, open, "the agent's UUID", "nothing, where the verifier and the registrar know the agent by it";
    DIRECTORY = "keylime.dir-overridden", Low, open, "KEYLIME_DIR of the environment overrides keylime_dir",
        "remove one of the two, so that relative names lead where the file says";
    CONTACT = "keylime.contact-address", Medium, open, "the verifier cannot reach the agent at the address that it is given",
        "set ip to an address of the host (or 0.0.0.0) and contact_ip to the one that the verifier reaches";
    UNVERIFIED = "keylime.verification-off", High, open, "certificate checks are switched off", "remove the line, and name the root in verifier_tls_ca_cert";
    VERIFIER_HTTP = "keylime.verifier-url-http", High, open, "the push agent sends its session token in plain HTTP", "set verifier_url to https://";
    TLS_DIR_ABSENT = "keylime.tls-directory-absent", High, open, "tls_dir = default names a directory that only a verifier with tls_dir = generate makes: the service does not start",
        "set tls_dir to a directory with certificates of your PKI, or copy the verifier's cv_ca to this host";
}
