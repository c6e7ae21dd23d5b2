//! The options of OpenBao's and Vault's configuration files: those of OpenBao 2.7 (`internalshared/configutil` and `command/server/config.go`
//! there) and of Vault 1.21 (the same files), each for its own product where they differ.

const TOP: &str = "\
    administrative_namespace_path allow_audit_log_prefixing api_addr audit backend cache_size cluster_addr cluster_cipher_suites \
    cluster_name default_lease_ttl default_max_request_duration detect_deadlocks disable_cache disable_clustering disable_indexing \
    disable_mlock disable_performance_standby disable_printable_check disable_sealwrap disable_sentinel_trace disable_standby_reads \
    enable_multiseal enable_response_header_hostname enable_response_header_raft_node_id entropy experiments ha_backend ha_storage hsm \
    imprecise_lease_role_tracking initialize introspection_endpoint kms kms_library license_path listener log_file log_format log_level \
    log_requests_level log_rotate_bytes log_rotate_duration log_rotate_max_files max_lease_ttl pid_file plugin plugin_auto_download \
    plugin_auto_register plugin_directory plugin_download_behavior plugin_file_permissions plugin_file_uid plugin_oci_auth plugin_tmpdir \
    plugins raw_storage_endpoint replication reporting request_limiter seal sentinel service_registration storage telemetry ui \
    unsafe_allow_api_audit_creation unsafe_cross_namespace_identity user_lockout";
const LISTENER: &str = "\
    address agent_api chroot_namespace cluster_address cors_allowed_headers cors_allowed_origins cors_enabled custom_response_headers \
    disable_replication_status_endpoints disable_request_limiter disable_unauthed_rekey_endpoints http_idle_timeout \
    http_read_header_timeout http_read_timeout http_write_timeout inflight_requests_logging max_request_duration max_request_json_memory \
    max_request_json_strings max_request_size profiling proxy_api proxy_protocol_authorized_addrs proxy_protocol_behavior purpose \
    redact_addresses redact_cluster_name redact_version require_request_header role socket_group socket_mode socket_user telemetry \
    tls_acme_ca_directory tls_acme_ca_root tls_acme_cache_path tls_acme_disable_alpn_challenge tls_acme_disable_http_challenge \
    tls_acme_domains tls_auto_reload tls_key_exchange_preferences tls_acme_eab_key_id tls_acme_eab_mac_key tls_acme_email tls_acme_key_type tls_acme_test_ca_directory tls_cert_file \
    tls_cipher_suites tls_client_ca_file tls_disable tls_disable_client_certs tls_key_file tls_max_version tls_min_version \
    tls_prefer_server_cipher_suites tls_require_and_verify_client_cert type x_forwarded_for_authorized_addrs \
    x_forwarded_for_client_cert_header x_forwarded_for_hop_skips \
    x_forwarded_for_reject_not_authorized x_forwarded_for_reject_not_present";

/// What only one of the two has.
const OPENBAO_LISTENER: &str = "x_forwarded_for_client_cert_decoders";
const VAULT_LISTENER: &str = "x_forwarded_for_client_cert_header_decoders";

/// What options are often called by mistake.
const CONFUSED: &[(&str, &str)] = &[
    ("tls_ca_file", "tls_client_ca_file"),
    ("tls_client_cert_file", "tls_client_ca_file"),
    ("tls_client_ca_cert_file", "tls_client_ca_file"),
    ("tls_ca_cert_file", "tls_client_ca_file"),
    ("client_ca_file", "tls_client_ca_file"),
    ("tls_verify_client", "tls_require_and_verify_client_cert"),
    ("tls_require_client_cert", "tls_require_and_verify_client_cert"),
    ("cert_file", "tls_cert_file"),
    ("key_file", "tls_key_file"),
    ("tls_certificate", "tls_cert_file"),
    ("tls_cert", "tls_cert_file"),
    ("tls_key", "tls_key_file"),
    ("tls_disabled", "tls_disable"),
    ("min_tls_version", "tls_min_version"),
    ("listen_address", "address"),
    ("bind_address", "address"),
];

/// The options of the file, or of a listener.
pub(super) fn options(listener: bool, vault: bool) -> Vec<&'static str> {
    let own = if vault { VAULT_LISTENER } else { OPENBAO_LISTENER };
    let all = if listener { [LISTENER, own] } else { [TOP, ""] };
    all.into_iter().flat_map(str::split_whitespace).collect()
}

/// Whether two names differ by no more than a slip: then the one is the other, set twice.
pub(super) fn is_same(word: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(&word.to_ascii_lowercase(), known) <= 2
}

/// The option that an unknown one was meant to be.
pub(super) fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let confused =
        CONFUSED.iter().find(|(wrong, _)| *wrong == word).and_then(|(_, right)| known.iter().copied().find(|known| known == right));
    confused.or_else(|| crate::audit::facts::spelling::option(&word, known))
}

/// Whether an option decides who may listen in.
pub(super) fn is_weighty(option: &str) -> bool {
    (option.starts_with("tls_") && !option.starts_with("tls_acme")) || matches!(option, "address" | "listener" | "seal" | "storage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_often_confused_is_an_option() {
        let listener = options(true, false);
        for (wrong, right) in CONFUSED {
            assert!(listener.contains(right) && !listener.contains(wrong), "{wrong}");
            assert_eq!(meant(wrong, &listener), Some(*right));
        }
        assert_eq!(meant("tls_cert_fil", &listener), Some("tls_cert_file"));
        assert_eq!(meant("nonsense", &listener), None);
    }
}
