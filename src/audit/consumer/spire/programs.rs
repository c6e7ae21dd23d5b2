//! SPIRE's programs, both written in Go.

use crate::audit::facts::program::{Program, TakesUp, TlsStack};

const BY_SERVER: TakesUp =
    TakesUp { driver: "spire_server", started_as: &["spire-server"], usual_unit: "spire-server.service", only_by_plugins: true };
const BY_AGENT: TakesUp =
    TakesUp { driver: "spire_agent", started_as: &["spire-agent"], usual_unit: "spire-agent.service", only_by_plugins: true };

/// The server and its plugins.
pub static SERVER: Program = Program {
    executables: &["spire-server"],
    accounts: &["spire", "spire-server"],
    tls: TlsStack::Go,
    takes_up: Some(BY_SERVER),
    ..Program::named("spire-server")
};
/// The agent and its plugins.
pub static AGENT: Program = Program {
    executables: &["spire-agent"],
    accounts: &["spire", "spire-agent"],
    tls: TlsStack::Go,
    takes_up: Some(BY_AGENT),
    ..Program::named("spire-agent")
};
/// The agent as the server's x509pop attestor sees it: it asks for no extended key usage (`ExtKeyUsageAny` in its verification).
pub static X509POP: Program = Program {
    executables: &["spire-agent"],
    accounts: &["spire", "spire-agent"],
    tls: TlsStack::Go,
    usage_is_checked: false,
    takes_up: Some(BY_AGENT),
    ..Program::named("spire-agent")
};
