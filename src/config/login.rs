//! `openbao.login`: the auth methods, each with the reader of its fields.

use std::cell::RefCell;
use std::path::PathBuf;

use super::keys::Table;
use super::names::spiffe_id;
use super::shape::{Errors, Shape, Wrong, boolean, parsed, tagged};
use super::tables::host as tables;
use super::tree::Node;
use super::value;
use crate::io::read;
use crate::model::openbao::{AppRole, AuthMethod, Cert, GivenToken, Jwt, JwtSvid, TpmIdentity};
use crate::model::report::SettingsError;
use crate::model::secret::SecretSource;

/// One auth method of the settings.
struct Method {
    table: &'static Table,
    read: fn(&Fields<'_>) -> Option<AuthMethod>,
}

/// The auth methods there are.
const METHODS: [Method; 6] = [
    Method { table: &tables::APPROLE, read: |fields| fields.approle() },
    Method { table: &tables::CERT, read: |fields| fields.cert() },
    Method { table: &tables::JWT, read: |fields| fields.jwt() },
    Method { table: &tables::TOKEN, read: |fields| fields.token() },
    Method { table: &tables::TPM_IDENTITY, read: |fields| fields.tpm_identity() },
    Method { table: &tables::JWT_SVID, read: |fields| fields.jwt_svid() },
];

/// One auth method; errors about secrets that are not there go to `absent`, one list for each method.
pub(super) fn method(node: &Node, errors: &Errors, absent: &RefCell<Vec<Vec<SettingsError>>>, check_secrets: bool) -> Option<AuthMethod> {
    let words = METHODS.map(|method| method.table.word());
    let (word, node) = tagged("way to log in", &words, &[], node, errors)?;
    let method = METHODS.iter().find(|method| method.table.word() == word)?;
    let shape = Shape::of(method.table, node, errors)?;
    // Two are other ways to what an auth method wants.
    let usual = match word {
        TpmIdentity::WORD => Cert::WORD,
        JwtSvid::WORD => Jwt::WORD,
        other => other,
    };
    let mount = shape.or("mount", usual.to_owned(), parsed(value::mount));
    let fields = Fields { shape, mount, absent: Errors::default(), check_secrets };
    let method = (method.read)(&fields);
    fields.shape.finish();
    absent.borrow_mut().push(fields.absent.into_inner());
    method
}

/// The fields of one auth method.
struct Fields<'a> {
    shape: Shape<'a>,
    /// Its path below `auth/`, by default its word.
    mount: Option<String>,
    absent: Errors,
    check_secrets: bool,
}

impl Fields<'_> {
    fn approle(&self) -> Option<AuthMethod> {
        let (role_id, secret_id) = (self.secret("role_id"), self.secret("secret_id"));
        let wrapped = self.shape.or("wrapped", false, boolean);
        Some(AuthMethod::AppRole(AppRole { mount: self.mount.clone()?, role_id: role_id?, secret_id: secret_id?, wrapped: wrapped? }))
    }

    fn cert(&self) -> Option<AuthMethod> {
        let (role, key) = (self.shape.required("role", parsed(value::role)), self.secret("key"));
        let cert = self.shape.required("cert", parsed(value::path));
        Some(AuthMethod::Cert(Cert { mount: self.mount.clone()?, role: role?, cert: cert?, key: key? }))
    }

    fn jwt(&self) -> Option<AuthMethod> {
        let (role, jwt) = (self.shape.required("role", parsed(value::role)), self.secret("jwt"));
        Some(AuthMethod::Jwt(Jwt { mount: self.mount.clone()?, role: role?, jwt: jwt? }))
    }

    fn token(&self) -> Option<AuthMethod> {
        self.secret("token").map(|token| AuthMethod::Token(GivenToken { token }))
    }

    fn tpm_identity(&self) -> Option<AuthMethod> {
        let role = self.shape.required("role", parsed(value::role));
        let certificate = self.shape.required("certificate", parsed(value::cert_name));
        Some(AuthMethod::TpmIdentity(TpmIdentity { mount: self.mount.clone()?, role: role?, certificate: certificate? }))
    }

    fn jwt_svid(&self) -> Option<AuthMethod> {
        let role = self.shape.required("role", parsed(value::role));
        let (socket, audience) = (self.shape.required("socket", parsed(socket)), self.shape.required("audience", parsed(audience)));
        let spiffe_id = self.shape.optional("spiffe_id", parsed(spiffe_id));
        Some(AuthMethod::JwtSvid(JwtSvid {
            mount: self.mount.clone()?,
            role: role?,
            socket: socket?,
            audience: audience?,
            spiffe_id: spiffe_id?,
        }))
    }

    fn secret(&self, key: &'static str) -> Option<SecretSource> {
        self.shape.required(key, |node, errors| self.checked(node, errors))
    }

    fn checked(&self, node: &Node, errors: &Errors) -> Option<SecretSource> {
        let source = parsed(value::secret)(node, errors)?;
        let checked = if self.check_secrets { read::check_secret(&source) } else { Ok(()) };
        let Err(error) = checked else { return Some(source) };
        let absent = error.is_not_found();
        let list = if absent { &self.absent } else { errors };
        list.at(&node.place, Wrong::new(error.code(), error.to_string()).suggest(error.hint()));
        absent.then_some(source)
    }
}

/// The socket of a SPIRE agent: `unix:PATH` (SPIFFE Workload Endpoint §4).
fn socket(text: &str) -> Result<PathBuf, Wrong> {
    let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:"));
    let wrong = || Wrong::value(format!("expected the socket of a SPIRE agent, found \"{text}\"")).suggest(EXAMPLE);
    let path = value::path(path.ok_or_else(wrong)?)?;
    // sockaddr_un (unix(7)).
    if path.as_os_str().len() > 107 { Err(Wrong::value("a socket's path has at most 107 bytes").suggest(EXAMPLE)) } else { Ok(path) }
}

const EXAMPLE: &str = "write socket = \"unix:/run/spire/sockets/agent.sock\"";

fn audience(text: &str) -> Result<String, Wrong> {
    let good = !text.is_empty() && text.len() <= 255 && text.chars().all(|c| c.is_ascii_graphic());
    let wrong = || Wrong::value(format!("expected an audience, found \"{text}\"")).suggest("write what the role has in bound_audiences");
    if good { Ok(text.to_owned()) } else { Err(wrong()) }
}
