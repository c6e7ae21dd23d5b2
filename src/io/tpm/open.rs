//! Opens the one TPM of the settings, and finds out why where that fails: libtss2 says "response code not recognized"
//! ([The library](crate::io::tpm#the-library)).
#![expect(clippy::disallowed_methods, reason = "a device or port that does not open is tried once more by hand, to say why")]

use std::net::ToSocketAddrs as _;
use std::str::FromStr as _;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tss_esapi::tcti_ldr::{DeviceConfig, NetworkTPMConfig, TctiNameConf};
use tss_esapi::{Context, Error as Tss};

use super::error::{self, TpmError};
use crate::model::tcti::Tcti;

/// How long a software TPM may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// Opens the TPM. No command is sent.
pub(super) fn open(tcti: &Tcti) -> Result<Context, TpmError> {
    tracing::debug!(%tcti, "opens the TPM");
    let conf = match tcti {
        Tcti::Device { path } => DeviceConfig::from_str(path).map(TctiNameConf::Device),
        Tcti::Swtpm { host, port } => NetworkTPMConfig::from_str(&format!("host={host},port={port}")).map(TctiNameConf::Swtpm),
    };
    conf.and_then(Context::new).map_err(|why| explain(tcti, why))
}

fn explain(tcti: &Tcti, why: Tss) -> TpmError {
    let found = match tcti {
        Tcti::Device { path } => device(path),
        Tcti::Swtpm { host, port } => software(host, *port),
    };
    match found {
        Some(Found { busy: true, why, hint }) => TpmError::Busy { why, hint },
        Some(Found { why, hint, .. }) => TpmError::Unreachable { tcti: tcti.to_string(), why, hint },
        // It opens by hand: what is missing is a library, libtss2 itself or what that loads by name.
        None if error::is_without_library(why) => TpmError::Unreachable {
            tcti: tcti.to_string(),
            why: "it is there, and libtss2-esys.so.0 or libtss2-tctildr.so.0 cannot be loaded, or lacks what is needed".to_owned(),
            hint: format!(
                "install libtss2-esys-3.0.2-0, libtss2-tctildr0 and {} (Debian's names) of version 2.4.6 or newer; stderr says what was not found",
                transport(tcti)
            ),
        },
        None => TpmError::Unreachable {
            tcti: tcti.to_string(),
            why: format!("it is there, and libtss2 cannot use it ({})", error::said(why)),
            hint: format!("install {}", transport(tcti)),
        },
    }
}

/// The package of what libtss2 loads to speak to it.
const fn transport(tcti: &Tcti) -> &'static str {
    match tcti {
        Tcti::Device { .. } => "libtss2-tcti-device0",
        Tcti::Swtpm { .. } => "libtss2-tcti-swtpm0",
    }
}

struct Found {
    busy: bool,
    why: String,
    hint: String,
}

fn device(path: &str) -> Option<Found> {
    let errno = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).err()?;
    let hint = match errno {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            "enable the TPM in the firmware's settings and see `dmesg | grep -i tpm`; in a unit, PrivateDevices= hides it"
        }
        Errno::ACCESS | Errno::PERM => "run omens as root or in the group tss; in a unit, add DeviceAllow=/dev/tpmrm0 rw",
        Errno::BUSY => "wait for the program that holds it",
        _ => "see the kernel's log",
    };
    let why = format!("{path}: {}", std::io::Error::from(errno));
    Some(Found { busy: errno == Errno::BUSY, why, hint: hint.to_owned() })
}

fn software(host: &str, port: u16) -> Option<Found> {
    let found =
        |why: String| Some(Found { busy: false, why, hint: "start the software TPM with its control channel on the next port".to_owned() });
    for port in [port, port + 1] {
        let tried = (host, port).to_socket_addrs().and_then(|mut all| {
            let first = all.next().ok_or(std::io::ErrorKind::NotFound)?;
            std::net::TcpStream::connect_timeout(&first, CONNECT)
        });
        if let Err(why) = tried {
            return found(format!("port {port}: {why}"));
        }
    }
    None
}
