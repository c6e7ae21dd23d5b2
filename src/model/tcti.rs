//! How the settings name a TPM (`[tpm] tcti`): only what omens knows how to use.

use std::fmt;

use super::request::is_host_name;

/// A way to a TPM 2.0, in the words of libtss2's TCTI loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcti {
    /// `device:/dev/tpmrmN`: the kernel's resource manager.
    Device {
        /// The device file.
        path: String,
    },
    /// `swtpm:host=HOST,port=PORT`: a software TPM, for tests and demonstrations.
    Swtpm {
        /// Name or address.
        host: String,
        /// The port of its commands; the next one is its control port.
        port: u16,
    },
}

/// Why a text names no TPM that omens would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub instead: &'static str,
}

const DEVICE: &str = "write \"device:/dev/tpmrm0\"";
const SWTPM: &str = "write it like \"swtpm:host=127.0.0.1,port=2321\"";

impl Tcti {
    /// Reads a text of the settings. libtss2 takes more than it understands: a bare `device` means /dev/tpm0 to it, and
    /// `swtpm:path=/x` becomes localhost:2321 ([The library](crate::io::tpm#the-library)). Hence what is not known here is refused.
    ///
    /// # Errors
    /// What is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let refuse = |why: String, instead| Err(Refused { why, instead });
        match text.split_once(':') {
            Some(("device", path)) => device(path),
            Some(("swtpm", options)) => swtpm(options),
            None if text == "device" => refuse("a bare \"device\" means /dev/tpm0, which has no resource manager".to_owned(), DEVICE),
            None if text == "swtpm" => refuse("expected host and port after \"swtpm\"".to_owned(), SWTPM),
            _ if text == "tabrmd" || text.starts_with("tabrmd:") => {
                refuse("tpm2-abrmd is not supported: the kernel's own resource manager does the same".to_owned(), DEVICE)
            }
            _ => refuse(format!("expected device:/dev/tpmrm0, found {text:?}"), DEVICE),
        }
    }
}

fn device(path: &str) -> Result<Tcti, Refused> {
    let number = path.strip_prefix("/dev/tpmrm");
    if number.is_some_and(|n| matches!(n.len(), 1..=3) && n.bytes().all(|b| b.is_ascii_digit())) {
        return Ok(Tcti::Device { path: path.to_owned() });
    }
    let raw = path.strip_prefix("/dev/tpm").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let why = if raw {
        format!("{path} has no resource manager: it has one user at a time, and what a killed one left in its slots stays")
    } else {
        format!("expected /dev/tpmrm0 or another of the kernel's resource managers, found {path:?}")
    };
    Err(Refused { why, instead: DEVICE })
}

fn swtpm(options: &str) -> Result<Tcti, Refused> {
    let refuse = |why: String| Refused { why, instead: SWTPM };
    let (mut host, mut port) = (None, None);
    for option in options.split(',') {
        let slot = match option.split_once('=') {
            Some(("host", value)) if host.is_none() => host.insert(value),
            Some(("port", value)) if port.is_none() => port.insert(value),
            _ => return Err(refuse(format!("expected \"host=\" and \"port=\", each once, found {option:?}"))),
        };
        if slot.is_empty() {
            return Err(refuse(format!("expected a value in {option:?}")));
        }
    }
    let (Some(host), Some(port)) = (host, port) else { return Err(refuse("expected both \"host=\" and \"port=\"".to_owned())) };
    if host.parse::<std::net::IpAddr>().is_err() && (!is_host_name(host) || host.starts_with("*.")) {
        return Err(refuse(format!("expected a host name or address, found {host:?}")));
    }
    let digits = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
    // The next port is the control port: 65535 has none.
    match port.parse::<u16>() {
        Ok(port) if digits && port < u16::MAX => Ok(Tcti::Swtpm { host: host.to_owned(), port }),
        _ => Err(refuse(format!("expected a port from 1 to 65534, found {port:?}"))),
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { path } => write!(f, "device:{path}"),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_written_back_the_same() {
        for text in ["device:/dev/tpmrm0", "device:/dev/tpmrm12", "swtpm:host=127.0.0.1,port=2321", "swtpm:host=tpm.example.net,port=1"] {
            assert_eq!(Tcti::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Tcti::parse("swtpm:port=2321,host=::1").unwrap(), Tcti::Swtpm { host: "::1".to_owned(), port: 2321 });
    }

    #[test]
    fn what_libtss2_would_guess_at_is_refused() {
        let refused = [
            ("device", "no resource manager"),
            ("device:", "expected /dev/tpmrm0"),
            ("device:/dev/tpm0", "no resource manager"),
            ("device:/dev/../dev/tpmrm0", "expected /dev/tpmrm0"),
            ("device:/dev/tpmrm", "expected /dev/tpmrm0"),
            ("device:/dev/tpmrm0/", "expected /dev/tpmrm0"),
            ("device:/dev/tpmrm0 ", "expected /dev/tpmrm0"),
            ("swtpm", "expected host and port"),
            ("swtpm:", "expected \"host=\""),
            ("swtpm:path=/run/swtpm.sock", "expected \"host=\""),
            ("swtpm:host=127.0.0.1", "both"),
            ("swtpm:port=2321", "both"),
            ("swtpm:host=127.0.0.1,port=2321,path=/x", "each once"),
            ("swtpm:host=127.0.0.1,port=2321,port=2322", "each once"),
            ("swtpm:host=a b,port=2321", "host name"),
            ("swtpm:host=,port=2321", "a value"),
            ("swtpm:host=127.0.0.1,port=0", "a port"),
            ("swtpm:host=127.0.0.1,port=65535", "a port"),
            ("swtpm:host=127.0.0.1,port=+2321", "a port"),
            ("tabrmd", "not supported"),
            ("tabrmd:bus_type=session", "not supported"),
            ("mssim:host=127.0.0.1,port=2321", "expected device:"),
            ("cmd:swtpm", "expected device:"),
            ("", "expected device:"),
        ];
        for (text, why) in refused {
            let found = Tcti::parse(text).unwrap_err();
            assert!(found.why.contains(why), "{text}: {found:?}");
        }
    }
}
