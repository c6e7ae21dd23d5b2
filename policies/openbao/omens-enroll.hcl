# What the token of `omens enroll` may do: have one identity signed, for the host that the token was made for, and end itself.
path "MOUNT/sign/host-identity" {
  capabilities       = ["update"]
  allowed_parameters = { "csr" = [], "ttl" = [], "format" = ["pem"] }
}
path "auth/token/revoke-self"  { capabilities = ["update"] }
