ui = true
api_addr = "https://127.0.0.1:8200"
storage "raft" {
  path    = "/var/lib/openbao"
  node_id = "one"
  retry_join { leader_api_addr = "https://b:8200", leader_ca_cert_file = "/r.pem" }
}
listener "tcp" {
  address = "0.0.0.0:8200"
  tls_cert_file = "/etc/openbao/tls.crt"
  tls_key_file = "/etc/openbao/tls.key"
  tls_min_version = "tls12"
  tls_require_and_verify_client_cert = "true"
  tls_disable = 0
}
seal "transit" { address = "https://c:8200", tls_skip_verify = "true" }
