//! SPIRE's programs, both written in Go.

use crate::audit::facts::program::{Program, TlsStack};

/// The server and its plugins.
pub static SERVER: Program =
    Program { executables: &["spire-server"], accounts: &["spire", "spire-server"], tls: TlsStack::Go, ..Program::named("spire-server") };
/// The agent and its plugins.
pub static AGENT: Program =
    Program { executables: &["spire-agent"], accounts: &["spire", "spire-agent"], tls: TlsStack::Go, ..Program::named("spire-agent") };
/// The agent as the server's x509pop attestor sees it: it asks for no extended key usage (`ExtKeyUsageAny` in its verification).
pub static X509POP: Program = Program {
    executables: &["spire-agent"],
    accounts: &["spire", "spire-agent"],
    tls: TlsStack::Go,
    usage_is_checked: false,
    ..Program::named("spire-agent")
};
