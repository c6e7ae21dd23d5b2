//! The options of Keylime 7.14 and of the Rust agent, older and newer ones too, since an unknown one is ignored in silence. It must never
//! judge a value.

use super::Part;

const VERIFIER: &str = "\
    authorization_provider auto_migrate_db cert_subject_alternative_names challenge_lifetime client_cert client_key \
    client_key_password database_pool_sz_ovfl database_url durable_attestation_import enable_agent_mtls exponential_backoff \
    extend_token_on_attestation ignore_tomtou_errors ip max_retries max_upload_size max_workers measured_boot_evaluate \
    measured_boot_imports measured_boot_policy_name mode num_workers persistent_store_encoding persistent_store_format \
    persistent_store_url port quote_interval registrar_ip registrar_port request_timeout require_allow_list_signatures \
    retry_interval server_cert server_key server_key_password session_create_rate_limit_per_agent \
    session_create_rate_limit_per_ip session_create_rate_limit_window_agent session_create_rate_limit_window_ip session_lifetime \
    severity_labels severity_policy shutdown_drain_timeout signed_attributes time_stamp_authority_certs_path \
    time_stamp_authority_url tls_dir transparency_log_sign_algo transparency_log_url trusted_client_ca trusted_server_ca uuid \
    verification_timeout version auto_recover_attestation_failures";
const REVOCATIONS: &str = "\
    enabled_revocation_notifications webhook_url zmq_ip zmq_port";
const REGISTRAR: &str = "\
    authorization_provider auto_migrate_db cert_subject_alternative_names database_pool_sz_ovfl database_url \
    durable_attestation_import ip malformed_cert_action max_workers persistent_store_encoding persistent_store_format \
    persistent_store_url port server_cert server_key server_key_password signed_attributes time_stamp_authority_certs_path \
    time_stamp_authority_url tls_dir tls_port tpm_identity transparency_log_sign_algo transparency_log_url trusted_client_ca \
    version max_upload_size request_timeout shutdown_drain_timeout";
const TENANT: &str = "\
    accept_tpm_encryption_algs accept_tpm_hash_algs accept_tpm_signing_algs client_cert client_key client_key_password \
    ek_check_script enable_agent_mtls exponential_backoff max_payload_size max_retries mb_refstate registrar_ip registrar_port \
    request_timeout require_ek_cert retry_interval tls_dir tpm_cert_store trusted_server_ca verifier_ip verifier_port version";
const AGENT: &str = "\
    agent_data_path allow_payload_revocation_actions api_versions attestation_interval_seconds \
    certification_keys_server_identifier contact_ip contact_port dec_payload_file disabled_signing_algorithms ek_handle \
    enable_agent_mtls enable_authentication enable_iak_idevid enable_insecure_payload enable_revocation_notifications \
    enc_keyname exponential_backoff exponential_backoff_initial_delay exponential_backoff_max_delay \
    exponential_backoff_max_retries extract_payload_zip iak_cert iak_handle iak_idevid_asymmetric_alg iak_idevid_name_alg \
    iak_idevid_template iak_password idevid_cert idevid_handle idevid_password ima_ml_count_file ima_ml_path ip keylime_dir \
    max_retries measure_payload_pcr measuredboot_ml_path payload_key payload_key_password payload_script port \
    registrar_api_versions registrar_ip registrar_port registrar_tls_ca_cert registrar_tls_client_cert registrar_tls_client_key \
    registrar_tls_enabled registrar_tls_port retry_interval revocation_actions revocation_actions_dir revocation_cert revocation_notification_ip \
    revocation_notification_port run_as secure_size server_cert server_key server_key_password tls_accept_invalid_certs \
    tls_accept_invalid_hostnames tls_dir tpm_encryption_alg tpm_hash_alg tpm_ownerpassword tpm_signing_alg trusted_client_ca \
    uefi_logs_evidence_version uuid verifier_tls_ca_cert verifier_tls_client_cert verifier_tls_client_key verifier_url version";
/// Of `ca.conf`, which some versions had in the verifier's and the tenant's own file.
const AUTHORITY: &str = "\
    cert_bits cert_ca_lifetime cert_ca_name cert_country cert_crl_dist cert_lifetime cert_locality cert_organization \
    cert_org_unit cert_state password";

/// What an option was called in Keylime 6, or by another part, and what it is here.
const RENAMED: &[(&str, &str)] = &[
    ("agent_contact_ip", "contact_ip"),
    ("agent_contact_port", "contact_port"),
    ("agent_mtls_cert", "client_cert"),
    ("agent_mtls_cert_enabled", "enable_agent_mtls"),
    ("agent_mtls_private_key", "client_key"),
    ("agent_mtls_private_key_pw", "client_key_password"),
    ("agent_uuid", "uuid"),
    ("ca_cert", "trusted_client_ca"),
    ("ca_cert", "trusted_server_ca"),
    ("cloudagent_ip", "ip"),
    ("cloudagent_port", "port"),
    ("cloudverifier_id", "uuid"),
    ("cloudverifier_ip", "verifier_ip"),
    ("cloudverifier_ip", "ip"),
    ("cloudverifier_port", "verifier_port"),
    ("cloudverifier_port", "port"),
    ("keylime_ca", "trusted_client_ca"),
    ("listen_notifications", "enable_revocation_notifications"),
    ("mtls_cert", "server_cert"),
    ("mtls_cert_enabled", "enable_agent_mtls"),
    ("multiprocessing_pool_num_workers", "num_workers"),
    ("my_cert", "server_cert"),
    ("my_cert", "client_cert"),
    ("private_key", "server_key"),
    ("private_key", "client_key"),
    ("private_key_pw", "server_key_password"),
    ("private_key_pw", "client_key_password"),
    ("registrar_tls_port", "tls_port"),
    ("revocation_notifiers", "enabled_revocation_notifications"),
    ("rsa_keyname", "server_key"),
    ("tls_cert", "server_cert"),
    ("tls_key", "server_key"),
    ("tls_cert_file", "server_cert"),
    ("tls_key_file", "server_key"),
    ("tls_client_ca_file", "trusted_client_ca"),
    ("tls_ca", "trusted_client_ca"),
    ("tomtou_errors", "ignore_tomtou_errors"),
    ("verifier_host", "verifier_ip"),
    ("verifier_ip", "verifier_url"),
    ("verifier_port", "verifier_url"),
];

/// Options that decide who may speak to whom: one of them ignored is more than untidy.
const WEIGHTY: &str = "\
    client_cert client_key contact_ip contact_port enable_agent_mtls ip mode port registrar_ip registrar_port require_ek_cert \
    server_cert server_key tls_dir tls_port trusted_client_ca trusted_server_ca uuid verifier_ip verifier_port \
    verifier_tls_ca_cert registrar_tls_ca_cert verifier_url ek_check_script tpm_cert_store";

/// Without one of these the verifier ends with an exception ([Files and layers](crate::audit#files-and-layers)).
pub(super) const MANDATORY: &[(&str, &str)] = &[
    ("verifier", "measured_boot_imports"),
    ("verifier", "severity_labels"),
    ("verifier", "severity_policy"),
    ("revocations", "enabled_revocation_notifications"),
];

fn has(table: &str, option: &str) -> bool {
    table.split_whitespace().any(|known| known == option)
}

/// The options of a section; `None` where the part has no such section.
fn options(part: Part, section: &str) -> Option<&'static str> {
    match (part, section) {
        (Part::Verifier, "verifier") => Some(VERIFIER),
        (Part::Verifier, "revocations") => Some(REVOCATIONS),
        (Part::Registrar, "registrar") => Some(REGISTRAR),
        (Part::Tenant, "tenant") => Some(TENANT),
        (Part::Agent, "agent") => Some(AGENT),
        _ => None,
    }
}

/// Whether a part reads a section.
pub(super) fn has_section(part: Part, section: &str) -> bool {
    options(part, section).is_some()
}

/// Whether an option of a section is read at all.
pub(super) fn is_read(part: Part, section: &str, option: &str) -> bool {
    let own = options(part, section).is_some_and(|options| has(options, option));
    own || (matches!(part, Part::Verifier | Part::Tenant) && section == part.name() && has(AUTHORITY, option))
}

/// The option that an unknown one was meant to be.
pub(super) fn meant(part: Part, section: &str, option: &str) -> Option<&'static str> {
    let options: Vec<&str> = options(part, section)?.split_whitespace().collect();
    let renamed = || RENAMED.iter().find(|(old, new)| *old == option && options.contains(new)).map(|(_, new)| *new);
    renamed().or_else(|| crate::audit::facts::spelling::option(option, &options))
}

/// Whether it decides who may speak to whom.
pub(super) fn is_weighty(option: &str) -> bool {
    has(WEIGHTY, option)
}

/// Sections that belong to others: the logging of Python, the authority, configparser's own.
pub(super) fn is_foreign(section: &str) -> bool {
    matches!(section, "DEFAULT" | "ca" | "logging" | "loggers" | "handlers" | "formatters")
        || ["logger_", "handler_", "formatter_"].iter().any(|start| section.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_misspelled_options_lead_to_the_one_that_is_read() {
        let cases = [
            (Part::Agent, "agent", "agent_uuid", Some("uuid")),
            (Part::Agent, "agent", "verifier_ip", Some("verifier_url")),
            (Part::Verifier, "verifier", "trusted_client_cas", Some("trusted_client_ca")),
            (Part::Verifier, "verifier", "my_cert", Some("server_cert")),
            (Part::Tenant, "tenant", "my_cert", Some("client_cert")),
            (Part::Tenant, "tenant", "cloudverifier_ip", Some("verifier_ip")),
            (Part::Verifier, "verifier", "cloudverifier_ip", Some("ip")),
            (Part::Verifier, "verifier", "colour", None),
            (Part::Verifier, "nonsense", "ip", None),
        ];
        for (part, section, option, expected) in cases {
            assert_eq!(meant(part, section, option), expected, "{option}");
        }
        assert!(is_read(Part::Verifier, "verifier", "cert_bits") && !is_read(Part::Registrar, "registrar", "cert_bits"));
    }

    #[test]
    fn what_is_weighty_or_mandatory_is_an_option() {
        let all = [VERIFIER, REGISTRAR, TENANT, AGENT, REVOCATIONS].join(" ");
        for option in WEIGHTY.split_whitespace() {
            assert!(has(&all, option), "{option}");
        }
        for (section, option) in MANDATORY {
            assert!(is_read(Part::Verifier, section, option), "{option}");
        }
        for (_, new) in RENAMED {
            assert!(has(&all, new), "{new}");
        }
    }
}
