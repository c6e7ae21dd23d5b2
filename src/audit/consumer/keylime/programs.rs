//! Keylime's programs: the Python parts with OpenSSL, and the agent in Rust with OpenSSL.

use crate::audit::facts::program::{Program, RemedyLines, TakesUp, TlsStack};

const TRUST: RemedyLines = RemedyLines { tls: None, protocols: None, trust: Some(trust) };

/// `keylime_verifier`.
pub static VERIFIER: Program = Program {
    executables: &["keylime_verifier"],
    accounts: ACCOUNTS,
    tls: TlsStack::OpenSsl,
    remedies: TRUST,
    takes_up: Some(TakesUp {
        driver: "keylime_verifier",
        started_as: &["keylime_verifier"],
        usual_unit: "keylime_verifier.service",
        only_by_plugins: false,
    }),
    ..Program::named("keylime_verifier")
};
/// `keylime_registrar`.
pub static REGISTRAR: Program = Program {
    executables: &["keylime_registrar"],
    accounts: ACCOUNTS,
    tls: TlsStack::OpenSsl,
    remedies: TRUST,
    takes_up: Some(TakesUp {
        driver: "keylime_registrar",
        started_as: &["keylime_registrar"],
        usual_unit: "keylime_registrar.service",
        only_by_plugins: false,
    }),
    ..Program::named("keylime_registrar")
};
/// `keylime_tenant`.
pub static TENANT: Program =
    Program { executables: &["keylime_tenant"], accounts: ACCOUNTS, tls: TlsStack::OpenSsl, ..Program::named("keylime_tenant") };
/// `keylime_agent`: it sends its leaf alone ([TLS](crate::audit#tls)), and any client certificate with a common name under `trusted_client_ca` is an
/// administrator ([Who is an administrator](crate::audit#who-is-an-administrator)).
pub static AGENT: Program = Program {
    executables: &["keylime_agent"],
    accounts: ACCOUNTS,
    tls: TlsStack::OpenSsl,
    leaf_alone: true,
    client_is_administrator: true,
    takes_up: Some(TakesUp {
        driver: "keylime_agent",
        started_as: &["keylime_agent"],
        usual_unit: "keylime_agent.service",
        only_by_plugins: false,
    }),
    ..Program::named("keylime_agent")
};

const ACCOUNTS: &[&str] = &["keylime"];

fn trust(files: &[String], root: &str) -> String {
    let listed: Vec<String> = files.iter().map(|file| format!("'{file}'")).collect();
    format!("trusted_client_ca = ['FILE OF {root}', {}]", listed.join(", "))
}
