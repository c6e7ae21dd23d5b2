//! The command line of `revoke`.

use clap::Args;

use super::wait_arguments::{Wait, cert_name};
use crate::model::name::CertName;
use crate::model::text::one_line;

/// `revoke`.
#[derive(Args, Debug)]
pub struct Revoke {
    /// The certificate, by its name in the settings
    #[arg(value_name = "NAME", value_parser = cert_name)]
    pub name: CertName,
    /// Serial number of what is to be revoked (default: that of the one that was replaced last, or with --live of the one that serves)
    #[arg(long, value_name = "SERIAL", value_parser = serial)]
    pub serial: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
    /// Revoke the one that serves; the next renewal replaces it
    #[arg(long)]
    pub live: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// How long to wait for another run.
    #[command(flatten)]
    pub wait: Wait,
}

/// As OpenBao writes it: lower-case bytes with colons between them.
fn serial(text: &str) -> Result<String, &'static str> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect::<String>().to_ascii_lowercase();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 80 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("expected the bytes of a serial number in hexadecimal, such as 0b:cc:01");
    }
    let bytes: Vec<String> = digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    Ok(bytes.join(":"))
}

fn reason(text: &str) -> Result<String, &'static str> {
    let reason = one_line(text, 500);
    if reason.trim().is_empty() { Err("expected why it is revoked") } else { Ok(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_taken_in_every_spelling() {
        for text in ["0B:CC:01", "0bcc01", "0b-cc-01"] {
            assert_eq!(serial(text).as_deref(), Ok("0b:cc:01"), "{text}");
        }
        for text in ["", "0b:c", "web", "0b cc"] {
            assert!(serial(text).is_err(), "{text}");
        }
    }
}
