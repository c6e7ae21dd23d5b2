//! The options of SPIRE's sections and of its plugins, and the names of what is built in.

use super::reader::Side;

const TOP: &str = "plugins telemetry health_checks";
const SERVER: &str = "\
    admin_ids agent_ttl audit_log_enabled bind_address bind_port ca_key_type ca_subject ca_ttl data_dir default_jwt_svid_ttl \
    default_x509_svid_ttl disable_jwt_svids experimental federation jwt_issuer jwt_key_type log_file log_format log_level \
    log_source_location max_attested_node_info_staleness named_pipe_name profiling_enabled profiling_freq profiling_names \
    profiling_port proxy_protocol_trusted_cidrs prune_attested_nodes_expired_for prune_attested_nodes_batch_size prune_tofu_nodes ratelimit socket_path tls_config trust_domain \
    use_legacy_downstream_x509_ca_ttl";
const AGENT: &str = "\
    admin_socket_path allow_unauthenticated_verifiers allowed_foreign_jwt_claims authorized_delegates availability_target data_dir \
    experimental insecure_bootstrap join_token join_token_file jwt_svid_cache_max_size log_file log_format log_level \
    log_source_location profiling_enabled profiling_freq profiling_names profiling_port ratelimit rebootstrap_delay rebootstrap_mode sds \
    server_address server_port socket_path trust_bundle_format trust_bundle_path trust_bundle_unix_socket trust_bundle_url \
    trust_domain workload_x509_svid_key_type x509_svid_cache_max_size";
const HEALTH: &str = "bind_address bind_port listener_enabled live_path ready_path";
const FEDERATION: &str = "bundle_endpoint federates_with";
const ENDPOINT: &str = "acme address port profile refresh_hint";
const SUBJECT: &str = "country organization common_name";
const TLS: &str = "cipher_suites curve_preferences min_tls_version";

/// Of every plugin block.
pub(super) const BLOCK: &str = "plugin_cmd plugin_args plugin_checksum plugin_data plugin_data_file enabled";

/// The keys of one of SPIRE's own sections, by its path from the top; `None` where unknown ones are let pass.
pub(super) fn section(side: Side, path: &[&str]) -> Option<Vec<&'static str>> {
    let table = match (side, path) {
        (_, []) => return Some(TOP.split_whitespace().chain([side.name()]).collect()),
        (Side::Server, ["server"]) => SERVER,
        (Side::Agent, ["agent"]) => AGENT,
        (_, ["health_checks"]) => HEALTH,
        (Side::Server, ["server", "federation"]) => FEDERATION,
        (Side::Server, ["server", "federation", "bundle_endpoint"]) => ENDPOINT,
        (Side::Server, ["server", "ca_subject"]) => SUBJECT,
        (Side::Server, ["server", "tls_config"]) => TLS,
        _ => return None,
    };
    Some(table.split_whitespace().collect())
}

/// Plugin types.
pub(super) fn kinds(side: Side) -> &'static [&'static str] {
    match side {
        Side::Server => {
            &["DataStore", "KeyManager", "NodeAttestor", "UpstreamAuthority", "Notifier", "CredentialComposer", "BundlePublisher"]
        }
        Side::Agent => &["KeyManager", "NodeAttestor", "WorkloadAttestor", "SVIDStore"],
    }
}

/// What is built in, as far as a misspelled name is to be recognised.
pub(super) fn built_in(side: Side, kind: &str) -> &'static [&'static str] {
    match (side, kind) {
        (Side::Server, "DataStore") => &["sql", "cassandra"],
        (Side::Server, "KeyManager") => &["aws_kms", "azure_key_vault", "disk", "gcp_kms", "hashicorp_vault", "memory"],
        (Side::Server, "NodeAttestor") => &[
            "aws_iid",
            "azure_imds",
            "azure_msi",
            "gcp_iit",
            "http_challenge",
            "join_token",
            "k8s_psat",
            "k8s_sat",
            "sshpop",
            "tpm_devid",
            "x509pop",
        ],
        (Side::Server, "UpstreamAuthority") => &["awssecret", "aws_pca", "cert-manager", "disk", "ejbca", "gcp_cas", "spire", "vault"],
        (Side::Agent, "KeyManager") => &["azure_key_vault", "disk", "memory"],
        (Side::Agent, "NodeAttestor") => &[
            "aws_iid",
            "azure_imds",
            "azure_msi",
            "gcp_iit",
            "http_challenge",
            "join_token",
            "k8s_psat",
            "k8s_sat",
            "sshpop",
            "tpm_devid",
            "x509pop",
        ],
        (Side::Agent, "WorkloadAttestor") => &["docker", "k8s", "systemd", "unix", "windows"],
        _ => &[],
    }
}

/// The options of a plugin's data; nested blocks by their path. `None` where they are not known here.
pub(super) fn data(side: Side, kind: &str, name: &str, path: &[&str]) -> Option<&'static str> {
    match (side, kind, name, path) {
        (Side::Server, "DataStore", "sql", []) => Some(
            "database_type connection_string ro_connection_string root_ca_path client_cert_path client_key_path max_open_conns \
             max_idle_conns conn_max_lifetime disable_migration",
        ),
        (Side::Server, "KeyManager", "disk", []) => Some("keys_path"),
        (Side::Agent, "KeyManager", "disk", []) => Some("directory"),
        (_, "KeyManager", "memory", []) | (_, "NodeAttestor", "join_token", []) => Some(""),
        (Side::Server, "NodeAttestor", "x509pop", []) => Some(
            "mode spiffe_prefix svid_prefix ca_bundle_path ca_bundle_paths agent_path_template max_intermediates max_rsa_key_size \
             verify_client_ip",
        ),
        (Side::Agent, "NodeAttestor", "x509pop", []) => Some("private_key_path certificate_path intermediates_path spiffe_endpoint_socket"),
        (Side::Server, "NodeAttestor", "tpm_devid", []) => Some("devid_ca_path endorsement_ca_path"),
        (Side::Agent, "NodeAttestor", "tpm_devid", []) => Some(
            "devid_cert_path devid_priv_path devid_pub_path devid_password owner_hierarchy_password endorsement_hierarchy_password \
             tpm_device_path",
        ),
        (Side::Server, "NodeAttestor", "sshpop", []) => Some("cert_authorities cert_authorities_path canonical_domain agent_path_template"),
        (Side::Agent, "NodeAttestor", "sshpop", []) => Some("host_key_path host_cert_path"),
        (Side::Server, "NodeAttestor", "keylime", []) => {
            Some("keylime_verifier_host keylime_verifier_port keylime_tls_ca_cert_file keylime_tls_cert_file keylime_tls_key_file")
        }
        (Side::Agent, "NodeAttestor", "keylime", []) => Some(
            "keylime_agent_host keylime_agent_port keylime_agent_use_tls keylime_agent_ca_cert keylime_agent_client_cert \
             keylime_agent_client_key",
        ),
        (Side::Server, "UpstreamAuthority", "disk", []) => Some("cert_file_path key_file_path bundle_file_path"),
        (Side::Server, "UpstreamAuthority", "spire", []) => Some("server_address server_port workload_api_socket experimental"),
        (Side::Server, "UpstreamAuthority", "vault", []) => {
            Some("vault_addr namespace pki_mount_point ca_cert_path insecure_skip_verify cert_auth token_auth approle_auth k8s_auth")
        }
        (Side::Server, "UpstreamAuthority", "vault", ["cert_auth"]) => {
            Some("cert_auth_mount_point cert_auth_role_name client_cert_path client_key_path")
        }
        (Side::Server, "UpstreamAuthority", "vault", ["token_auth"]) => Some("token"),
        (Side::Server, "UpstreamAuthority", "vault", ["approle_auth"]) => Some("approle_auth_mount_point approle_id approle_secret_id"),
        (Side::Server, "UpstreamAuthority", "vault", ["k8s_auth"]) => Some("k8s_auth_mount_point k8s_auth_role_name token_path"),
        _ => None,
    }
}

/// What options are often called by mistake.
const CONFUSED: &[(&str, &str)] = &[
    ("keylime_verifier_ip", "keylime_verifier_host"),
    ("keylime_verifier_address", "keylime_verifier_host"),
    ("keylime_verifier_addr", "keylime_verifier_host"),
    ("keylime_verifier_url", "keylime_verifier_host"),
    ("verifier_url", "keylime_verifier_host"),
    ("verifier_host", "keylime_verifier_host"),
    ("keylime_agent_ip", "keylime_agent_host"),
    ("keylime_agent_address", "keylime_agent_host"),
    ("keylime_agent_tls", "keylime_agent_use_tls"),
    ("cert_path", "certificate_path"),
    ("cert_file", "certificate_path"),
    ("key_path", "private_key_path"),
    ("key_file", "private_key_path"),
    ("ca_cert_path", "ca_bundle_path"),
    ("ca_path", "ca_bundle_path"),
    ("ca_file", "ca_bundle_path"),
    ("cert_file", "cert_file_path"),
    ("key_file", "key_file_path"),
    ("address", "vault_addr"),
    ("pki_mount", "pki_mount_point"),
    ("default_svid_ttl", "default_x509_svid_ttl"),
    ("registration_uds_path", "socket_path"),
    ("plugin_config", "plugin_data"),
    ("plugin_path", "plugin_cmd"),
];

/// The option that an unknown one was meant to be.
pub(super) fn meant<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let confused =
        CONFUSED.iter().filter(|(wrong, _)| *wrong == word).find_map(|(_, right)| known.iter().copied().find(|known| known == right));
    confused.or_else(|| crate::audit::facts::spelling::option(&word, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_often_confused_is_an_option_of_something() {
        let all = [SERVER, AGENT, BLOCK].join(" ");
        for (_, right) in CONFUSED {
            let plugins =
                [("NodeAttestor", "keylime"), ("NodeAttestor", "x509pop"), ("UpstreamAuthority", "disk"), ("UpstreamAuthority", "vault")];
            let mut tables = plugins.iter().flat_map(|(kind, name)| [Side::Server, Side::Agent].map(|side| data(side, kind, name, &[])));
            let known = tables.any(|table| table.is_some_and(|table| table.split_whitespace().any(|option| option == *right)));
            assert!(known || all.split_whitespace().any(|option| option == *right), "{right}");
        }
        let keylime: Vec<&str> = data(Side::Server, "NodeAttestor", "keylime", &[]).unwrap().split_whitespace().collect();
        assert_eq!(meant("keylime_tls_client_cert_file", &keylime), Some("keylime_tls_cert_file"));
        assert_eq!(meant("tpm_policy", &keylime), None);
    }
}
