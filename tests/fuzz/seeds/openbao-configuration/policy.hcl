path "pki_int/sign/+" { capabilities = ["update", "sudo"] allowed_parameters = { "csr" = [], "ttl" = ["24h"] } }
path "auth/*" { policy = "write" min_wrapping_ttl = "1s" }
