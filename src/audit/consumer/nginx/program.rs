//! nginx as a program: OpenSSL, and words of its own where a call fails.

use crate::audit::facts::program::{Program, RemedyLines, Symptoms, TakesUp, TlsStack};

/// nginx. Its master reads the keys as root.
pub static NGINX: Program = Program {
    accounts: &["www-data", "nginx", "http"],
    tls: TlsStack::OpenSsl,
    symptoms: Symptoms {
        plain_to_tls: Some("the caller gets \"400 The plain HTTP request was sent to HTTPS port\""),
        no_certificate: Some("\"400 No required SSL certificate was sent\""),
        unknown_authority: Some("\"SSL_do_handshake() failed … alert unknown ca\" in its error log"),
    },
    remedies: RemedyLines { tls: Some("listen … ssl;"), protocols: Some("ssl_protocols TLSv1.2 TLSv1.3;"), trust: Some(trust) },
    takes_up: Some(TakesUp { driver: "nginx", started_as: &["nginx"], usual_unit: "nginx.service", only_by_plugins: false }),
    ..Program::named("nginx")
};

fn trust(files: &[String], root: &str) -> String {
    let first = files.first().map_or("…", String::as_str);
    format!("ssl_client_certificate {first};  # append {root} to this file")
}
