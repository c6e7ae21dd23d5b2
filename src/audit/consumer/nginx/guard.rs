//! Who may reach a location: what stands between a caller and a proxy that speaks for it.

use std::collections::BTreeSet;

use super::scope::Scope;
use super::server::Server;
use super::syntax::Directive;
use crate::audit::facts::wiring::ClientAuth;

/// What callers must show, as far as the blocks so far ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    listens: Listens,
    proven: bool,
    by_address: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listens {
    /// Unix sockets only, or a client certificate on every address.
    Closed,
    /// At least one open address, all of them loopback.
    Local,
    /// Open to others.
    Open,
}

impl Guard {
    /// What the addresses of a server ask for; `tls` says which of them speak TLS.
    pub(super) fn of_server(server: &Server<'_>, tls: &[bool]) -> Self {
        let required = server.client_auth == ClientAuth::Required;
        let open = server.listens.iter().zip(tls).filter(|((listen, _), tls)| listen.port.is_some() && !(required && **tls));
        let mut listens = Listens::Closed;
        for ((listen, _), _) in open {
            listens = if listen.is_loopback() && listens != Listens::Open { Listens::Local } else { Listens::Open };
        }
        Self { listens, proven: false, by_address: false }
    }

    /// With what a block inside adds. `client` are variables that depend on the client's certificate.
    pub(super) fn within(self, scope: &Scope<'_>, client: &BTreeSet<String>) -> Self {
        const PROOFS: &[&str] = &[
            "auth_basic",
            "auth_request",
            "auth_jwt",
            "auth_digest",
            "access_by_lua_block",
            "access_by_lua_file",
            "js_access",
            "auth_pam",
            "auth_gss",
            "auth_ldap",
        ];
        let proof = |name: &&&str| scope.all(name).iter().any(|line| line.arg() != "off" && !line.arg().is_empty() || line.block.is_some());
        let asked = scope.own("if").iter().any(|line| line.args.iter().any(|arg| depends(arg, client)));
        let either = scope.get("satisfy").is_some_and(|line| line.arg() == "any");
        let addresses = limited(scope);
        let proven = PROOFS.iter().any(|name| proof(&name)) && !(either && addresses);
        Self {
            proven: self.proven || asked || proven || !scope.own("internal").is_empty(),
            by_address: self.by_address || addresses,
            ..self
        }
    }

    /// Who gets in with nothing to show, in words; `None` where nobody does.
    pub(super) const fn open(self) -> Option<&'static str> {
        match (self.proven, self.listens) {
            (true, _) | (_, Listens::Closed) => None,
            (_, Listens::Local) => Some("every process of this host, of any user,"),
            (_, Listens::Open) => Some("everybody who reaches the port"),
        }
    }

    /// Whether only some other hosts get in; this host's own processes are not kept out by that.
    pub(super) fn by_address(self) -> bool {
        self.by_address && self.listens == Listens::Open
    }
}

/// `deny all` after `allow` lines that name others than this host.
fn limited(scope: &Scope<'_>) -> bool {
    let denied = scope.all("deny").iter().any(|line| line.arg() == "all");
    let allowed: Vec<&&Directive> = scope.all("allow").iter().collect();
    let local = |line: &&Directive| line.arg().starts_with("127.") || line.arg() == "::1" || line.arg() == "unix:";
    denied && !allowed.iter().any(|line| line.arg() == "all" || local(line))
}

/// Variables that depend on the client's certificate: nginx's own and those mapped from them.
pub(super) fn variables(scope: &Scope<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in scope.own("map") {
        if depends(line.arg(), &found)
            && let Some(variable) = line.args.get(1)
        {
            found.insert(variable.clone());
        }
    }
    found
}

fn depends(text: &str, known: &BTreeSet<String>) -> bool {
    if text.contains("$ssl_client_") || text.contains("${ssl_client_") {
        return true;
    }
    let bare = text.trim_start_matches(['(', '!']).trim_end_matches(')');
    bare.starts_with('$') && known.contains(bare)
}
