//! Which OpenBao server signs, and by which auth methods tokens are had there: what the settings say, read into types.

use std::path::PathBuf;

use super::name::CertName;
use super::secret::SecretSource;

/// `[openbao]` of the settings.
#[derive(Clone, Debug)]
pub struct OpenBao {
    /// Each `https://HOST[:PORT]`, without a path or a trailing slash; at least one, tried in order in each run.
    pub addresses: Vec<String>,
    /// The namespace that mount and auth methods lie in, where it is not the root one.
    pub namespace: Option<String>,
    /// The roots the server's certificate is checked against, DER. Only these.
    pub ca: Vec<Vec<u8>>,
    /// The PKI mount, such as `pki_int`.
    pub mount: String,
    /// Auth methods, tried in order.
    pub login: Vec<AuthMethod>,
    /// Auth methods of the login that may revoke, tried in order; none: nothing is revoked.
    pub revoke_login: Vec<AuthMethod>,
}

impl OpenBao {
    /// The first address, for texts.
    #[must_use]
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }
}

/// One auth method as the settings name it.
#[derive(Clone, Debug)]
pub enum AuthMethod {
    /// `role_id` and `secret_id`.
    AppRole(AppRole),
    /// A TLS client certificate.
    Cert(Cert),
    /// A signed token of somebody whom the server trusts (RFC 7519).
    Jwt(Jwt),
    /// A JWT-SVID of this host's SPIRE agent.
    JwtSvid(JwtSvid),
    /// What a person gave for one login, which ends with it (`omens enroll`).
    Once(Once),
    /// A token that somebody else made and renews; it is never revoked by us.
    Token(GivenToken),
    /// A certificate of ours, by a key that never leaves the TPM.
    TpmIdentity(TpmIdentity),
}

impl AuthMethod {
    /// The word in the settings.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::AppRole(_) => AppRole::WORD,
            Self::Cert(_) => Cert::WORD,
            Self::Jwt(_) => Jwt::WORD,
            Self::JwtSvid(_) => JwtSvid::WORD,
            Self::Once(once) => once.word(),
            Self::Token(_) => GivenToken::WORD,
            Self::TpmIdentity(_) => TpmIdentity::WORD,
        }
    }

    /// Whether it is granted by what only this host has, in a state that somebody vouches for: nothing that could be copied from a disk.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        matches!(self, Self::TpmIdentity(_) | Self::JwtSvid(_))
    }

    /// Whether one login uses it up, and looking at it does not: a wrapping token.
    #[must_use]
    pub const fn is_used_up_by_a_login(&self) -> bool {
        matches!(self, Self::AppRole(AppRole { wrapped: true, .. }))
    }

    /// The certificate that it shows, where that is one of ours.
    #[must_use]
    pub const fn identity(&self) -> Option<&TpmIdentity> {
        if let Self::TpmIdentity(identity) = self { Some(identity) } else { None }
    }
}

/// `{ approle = { … } }`.
#[derive(Clone, Debug)]
pub struct AppRole {
    /// The auth method's path below `auth/`; default `approle`.
    pub mount: String,
    /// The role id; its file is treated like a secret.
    pub role_id: SecretSource,
    /// The secret id, as plain value.
    pub secret_id: SecretSource,
    /// Whether that is a wrapping token, which gives the secret id once.
    pub wrapped: bool,
}

impl AppRole {
    /// The word in the settings.
    pub const WORD: &'static str = "approle";
}

/// `{ cert = { … } }`.
#[derive(Clone, Debug)]
pub struct Cert {
    /// The auth method's path below `auth/`; default `cert`.
    pub mount: String,
    /// The role of the auth method (`name` of the login).
    pub role: String,
    /// PEM file: leaf, then intermediates.
    pub cert: PathBuf,
    /// PEM file of the private key.
    pub key: SecretSource,
}

impl Cert {
    /// The word in the settings.
    pub const WORD: &'static str = "cert";
}

/// `{ jwt = { … } }`: of the auth methods `jwt` and `kubernetes`.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// The auth method's path below `auth/`; default `jwt`.
    pub mount: String,
    /// The role of the auth method.
    pub role: String,
    /// Where the token lies; read anew for each login, since whoever writes it replaces it.
    pub jwt: SecretSource,
}

impl Jwt {
    /// The word in the settings.
    pub const WORD: &'static str = "jwt";
}

/// `{ token = { … } }`. Which mount made the token changes nothing.
#[derive(Clone, Debug)]
pub struct GivenToken {
    /// Where the token lies.
    pub token: SecretSource,
}

impl GivenToken {
    /// The word in the settings.
    pub const WORD: &'static str = "token";
}

/// `{ tpm_identity = { … } }`: the auth method `cert`, with a key of the TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmIdentity {
    /// The auth method's path below `auth/`; default `cert`.
    pub mount: String,
    /// The role of the auth method (`name` of the login).
    pub role: String,
    /// Which certificate of the settings is shown.
    pub certificate: CertName,
}

impl TpmIdentity {
    /// The word in the settings.
    pub const WORD: &'static str = "tpm_identity";
}

/// `{ jwt_svid = { … } }`: the auth method `jwt`, with a JWT-SVID of the SPIFFE Workload API.
#[derive(Clone, Debug)]
pub struct JwtSvid {
    /// The auth method's path below `auth/`; default `jwt`.
    pub mount: String,
    /// The role of the auth method.
    pub role: String,
    /// The agent's socket.
    pub socket: PathBuf,
    /// For whom the JWT-SVID is made: what the role wants as `aud`.
    pub audience: String,
    /// Which one is asked for; without it the agent's first.
    pub spiffe_id: Option<String>,
}

impl JwtSvid {
    /// The word in the settings.
    pub const WORD: &'static str = "jwt_svid";
}

/// One login that a person gave. What it was granted by is of no use to anybody afterwards.
#[derive(Clone, Debug)]
pub enum Once {
    /// A token.
    Token(SecretSource),
    /// A wrapping token with a token in it.
    WrappedToken(SecretSource),
    /// A role id, and a wrapping token with a secret id in it.
    WrappedSecretId(AppRole),
}

impl Once {
    /// How texts name it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Token(_) => "one-time token",
            Self::WrappedToken(_) => "wrapping token",
            Self::WrappedSecretId(_) => "wrapped secret id",
        }
    }
}
