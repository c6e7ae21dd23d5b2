//! The server, OpenBao's or Vault's, as a program: Go.

use crate::audit::facts::program::{Program, RemedyLines, TakesUp, TlsStack};

/// Executables that are the server, or its client.
pub(super) const EXECUTABLES: &[&str] = &["bao", "openbao", "vault"];

/// The server.
pub static OPENBAO: Program = Program {
    executables: EXECUTABLES,
    accounts: &["openbao", "vault", "bao"],
    tls: TlsStack::Go,
    remedies: RemedyLines { tls: Some("tls_disable = false"), protocols: Some("tls_min_version = \"tls12\""), trust: Some(trust) },
    takes_up: Some(TakesUp { driver: "openbao", started_as: EXECUTABLES, usual_unit: "openbao.service", only_by_plugins: false }),
    ..Program::named("openbao")
};

fn trust(files: &[String], root: &str) -> String {
    let first = files.first().map_or("…", String::as_str);
    format!("tls_client_ca_file = \"{first}\"  # append {root} to this file")
}
