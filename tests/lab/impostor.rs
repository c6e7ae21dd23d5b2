//! What answers at the port of a TPM and is none.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use super::{free_port, wait_for};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Impostor {
    Silent,
    Closes,
    Babbles,
}

/// Listens as long as this process lives; its TCTI.
pub fn impostor(kind: Impostor) -> String {
    // libtss2 looks for the control channel at the next port.
    let mut port = free_port();
    loop {
        let next = free_port();
        if next == port + 1 {
            break;
        }
        port = next;
    }
    for port in [port, port + 1] {
        let mut listener = None;
        wait_for("a port of our own", Duration::from_secs(5), || {
            listener = TcpListener::bind(("127.0.0.1", port)).ok();
            listener.is_some()
        });
        let listener = listener.unwrap();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut client in listener.incoming().flatten() {
                match kind {
                    Impostor::Silent => held.push(client),
                    Impostor::Closes => drop(client),
                    Impostor::Babbles => {
                        std::thread::spawn(move || {
                            let mut buffer = [0; 512];
                            while client.read(&mut buffer).is_ok_and(|read| read > 0) {
                                client.write_all(&[0xff; 64]).ok();
                            }
                        });
                    }
                }
            }
        });
    }
    format!("swtpm:host=127.0.0.1,port={port}")
}
