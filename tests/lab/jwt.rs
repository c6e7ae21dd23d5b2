//! Signed tokens (JWT, ES256) of our own making, and the key set by which others check them.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::ecdsa::Signature;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

/// Who signs tokens.
pub struct Signer {
    key: KeyPair,
    id: &'static str,
}

impl Signer {
    /// With a new key of this id.
    pub fn new(id: &'static str) -> Self {
        Self { key: super::pki::ec_key(), id }
    }

    /// A token with these claims (RFC 7515 §3.1, RFC 7518 §3.4).
    pub fn token(&self, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" })), part(claims));
        let signature = Signature::from_der(&self.key.sign(signed.as_bytes()).expect("a signature")).expect("ECDSA");
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
    }

    /// Its public key in PEM.
    pub fn public_pem(&self) -> String {
        self.key.public_key_pem()
    }

    /// Its public key as others fetch it (RFC 7517 §5).
    pub fn key_set(&self) -> Value {
        let point = self.key.der_bytes();
        let half = |from: usize| Base64UrlUnpadded::encode_string(&point[from..from + 32]);
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "jwt-svid", "kid": self.id, "x": half(1), "y": half(33) }] })
    }
}
