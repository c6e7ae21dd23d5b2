# What a host may do once it has logged in by evidence: sign for its own name, through roles that take that name from the login.
# The roles of its services, whose names are others, are in a policy of that host alone.
path "MOUNT/sign/host-identity" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "MOUNT/sign/tls-server" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "MOUNT/sign/mtls-service" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "MOUNT/sign/mtls-client" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "MOUNT/sign/keylime-agent" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "auth/token/revoke-self"  { capabilities = ["update"] }
path "auth/token/lookup-self"  { capabilities = ["read"] }
path "sys/capabilities-self"   { capabilities = ["update"] }
