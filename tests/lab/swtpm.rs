//! A software TPM of its own: private state, free ports, ended by pid. Nothing here flushes what a client leaves behind: leaks shall show.
//! And a relay before it that records what crosses the connection and can step in between two commands.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use super::child::{Output, Server, as_user, run};
use super::{free_port, place, program, wait_for};

/// What is missing on this machine, if anything.
pub fn missing() -> Option<&'static str> {
    let needed = [("swtpm", "swtpm"), ("tpm2_getcap", "tpm2-tools")];
    needed.into_iter().find(|(name, _)| program(name).is_none()).map(|(_, package)| package)
}

/// A running TPM.
pub struct Swtpm {
    dir: PathBuf,
    port: u16,
    front: Option<Relay>,
    server: Option<Server>,
}

/// A port whose successor is free too: libtss2 looks for the control channel there.
fn free_pair() -> u16 {
    let mut first = free_port();
    loop {
        let second = free_port();
        if first.checked_add(1) == Some(second) {
            return first;
        }
        first = second;
    }
}

fn tcti(port: u16) -> String {
    format!("swtpm:host=127.0.0.1,port={port}")
}

impl Swtpm {
    /// A new TPM with these PCRs measured into; all others are zero, as on a host whose firmware does not measure.
    pub fn start(measured: &[u32]) -> Self {
        let mut tpm = Self { dir: place::directory("swtpm"), port: free_pair(), front: None, server: None };
        tpm.power_on(measured);
        tpm.front = Some(Relay::recording(&tpm));
        tpm
    }

    /// The same TPM after a reboot: PCRs start anew, nothing is loaded.
    pub fn reboot(&mut self, measured: &[u32]) {
        self.power_off();
        self.power_on(measured);
    }

    /// Ends it without TPM2_Shutdown, as a power cut does.
    pub fn power_off(&mut self) {
        self.server.take().map(|mut server| server.stop());
    }

    pub fn power_on(&mut self, measured: &[u32]) {
        let port = self.port;
        wait_for("swtpm", Duration::from_secs(10), || {
            // See `listen`: it may have found its port taken.
            if !self.server.as_mut().is_some_and(Server::alive) {
                self.server = Some(self.launch());
            }
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        measured.iter().for_each(|pcr| self.extend(*pcr, &format!("measured into {pcr} at boot")));
    }

    fn launch(&self) -> Server {
        let mut command = as_user(None, Some("KILL"), &program("swtpm").expect("swtpm"));
        let (dir, port) = (self.dir.display(), self.port);
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.args(["--tpmstate", &format!("dir={dir},mode=0600")]);
        command.args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect")]);
        command.args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)]);
        Server::start(command, &self.dir.join("log"), Signal::TERM)
    }

    /// For what runs in this very process. libtss2 opens its sockets without close-on-exec, so a child that another test starts at the wrong
    /// moment inherits one, and swtpm, which serves one connection at a time, would wait for it for ever. A relay does not mind.
    pub fn tcti(&self) -> String {
        self.front.as_ref().expect("it was started").tcti()
    }

    /// For other processes.
    pub fn direct(&self) -> String {
        tcti(self.port)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").pid()
    }

    /// Measures something into a PCR.
    pub fn extend(&self, pcr: u32, what: &str) {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, what.as_bytes());
        let digits: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        self.tool("tpm2_pcrextend", &[&format!("{pcr}:sha256={digits}")]);
    }

    /// Runs one of tpm2-tools in the TPM's directory; it must succeed.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.try_tool(name, arguments);
        assert_eq!(output.code, 0, "{name} {arguments:?}: {}", output.stderr);
        output.stdout
    }

    pub fn try_tool(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program(name).expect("tpm2-tools"));
        command.args(arguments).current_dir(&self.dir).env("TPM2TOOLS_TCTI", self.direct());
        run(command, Duration::from_secs(20))
    }

    /// What is loaded: transient objects and sessions.
    pub fn loaded(&self) -> Vec<String> {
        let kinds = ["handles-transient", "handles-loaded-session", "handles-saved-session"];
        kinds.iter().flat_map(|kind| self.tool("tpm2_getcap", &[kind]).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Where tools leave their files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Sends one raw command to the TPM and gives the raw answer; none where there is no TPM any more.
pub type Raw<'a> = dyn FnMut(&[u8]) -> Option<Vec<u8>> + 'a;
/// Sees each command's code before the TPM does; may send others first, or answer in its place.
pub type Between = Box<dyn FnMut(u32, &mut Raw<'_>) -> Option<Vec<u8>> + Send>;

/// Command codes (TPM 2.0 Part 2, §6.5.2).
pub const CC_EVICT_CONTROL: u32 = 0x120;
pub const CC_CREATE_PRIMARY: u32 = 0x131;
pub const CC_CREATE: u32 = 0x153;
pub const CC_UNSEAL: u32 = 0x15e;
pub const CC_READ_PUBLIC: u32 = 0x173;
pub const CC_START_AUTH_SESSION: u32 = 0x176;
pub const CC_GET_CAPABILITY: u32 = 0x17a;

struct Inner {
    tpm: u16,
    between: Between,
    commands: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    /// Clients of the control channel: libtss2 looks there each time that it opens a TPM.
    opened: usize,
}

/// A relay before a TPM, which can send commands of its own between those of its clients.
pub struct Relay {
    port: u16,
    inner: Arc<Mutex<Inner>>,
}

impl Relay {
    pub fn before(tpm: &Swtpm, between: Between) -> Self {
        let port = free_pair();
        let inner = Arc::new(Mutex::new(Inner { tpm: tpm.port, between, commands: Vec::new(), bytes: Vec::new(), opened: 0 }));
        let (commands, control) = (listen(port), listen(port + 1));
        let shared = inner.clone();
        std::thread::spawn(move || {
            for client in commands.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(client, &shared));
            }
        });
        let upstream = tpm.port + 1;
        let counted = inner.clone();
        std::thread::spawn(move || {
            for client in control.incoming().flatten() {
                counted.lock().expect("relay").opened += 1;
                std::thread::spawn(move || serve_control(client, upstream));
            }
        });
        Self { port, inner }
    }

    pub fn recording(tpm: &Swtpm) -> Self {
        Self::before(tpm, Box::new(|_, _| None))
    }

    pub fn tcti(&self) -> String {
        tcti(self.port)
    }

    /// The commands that clients sent, since the last look.
    pub fn commands(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.inner.lock().expect("relay").commands)
    }

    /// The codes of those commands.
    pub fn codes(&self) -> Vec<u32> {
        self.commands().iter().map(|command| code(command)).collect()
    }

    /// How often a client came to the control channel, since the last look.
    pub fn opened(&self) -> usize {
        std::mem::take(&mut self.inner.lock().expect("relay").opened)
    }

    /// Everything that crossed the connection, both ways.
    pub fn bytes(&self) -> Vec<u8> {
        self.inner.lock().expect("relay").bytes.clone()
    }
}

/// Listens on a port that was free a moment ago. A child that another test is starting holds a copy of what was open then, until it runs its
/// program: for that long the port is taken.
fn listen(port: u16) -> TcpListener {
    let mut listener = None;
    wait_for("a port of our own", Duration::from_secs(5), || {
        listener = TcpListener::bind(("127.0.0.1", port)).ok();
        listener.is_some()
    });
    listener.expect("it was waited for")
}

/// Control commands and their answers, each in one piece and on a connection of its own: swtpm serves one at a time here too.
fn serve_control(mut client: TcpStream, upstream: u16) -> Option<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let mut server = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
        server.write_all(&buffer[..length]).ok()?;
        let length = server.read(&mut buffer).ok()?;
        drop(server);
        client.write_all(&buffer[..length]).ok()?;
    }
}

/// One command or answer: a tag, the whole length, a code, the rest.
fn frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 10];
    from.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes(frame[2..6].try_into().expect("four bytes"));
    frame.resize(usize::try_from(length).expect("small"), 0);
    from.read_exact(&mut frame[10..]).ok()?;
    Some(frame)
}

/// What a command asks for.
pub fn code(command: &[u8]) -> u32 {
    u32::from_be_bytes(command[6..10].try_into().expect("four bytes"))
}

fn serve(mut client: TcpStream, inner: &Mutex<Inner>) {
    client.set_nodelay(true).ok();
    while let Some(command) = frame(&mut client) {
        let mut inner = inner.lock().expect("relay");
        let Inner { tpm, between, commands, bytes, .. } = &mut *inner;
        // One connection for each command, as libtss2 does it: swtpm ends it with its answer.
        let mut raw = |command: &[u8]| {
            let mut tpm = TcpStream::connect(("127.0.0.1", *tpm)).ok()?;
            tpm.write_all(command).ok()?;
            frame(&mut tpm)
        };
        let instead = between(code(&command), &mut raw);
        let Some(answer) = instead.or_else(|| raw(&command)) else { return };
        bytes.extend_from_slice(&command);
        bytes.extend_from_slice(&answer);
        commands.push(command);
        if client.write_all(&answer).is_err() {
            return;
        }
    }
}

/// One authorisation of a command: a session, and what it does beside (TPM 2.0 Part 2, §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorised {
    pub session: u32,
    pub attributes: u8,
}

impl Authorised {
    /// The first parameter of the command is encrypted.
    pub fn hides_command(self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// The first parameter of the answer is encrypted.
    pub fn hides_answer(self) -> bool {
        self.attributes & 0x40 != 0
    }
}

/// The authorisations of a command that begins with so many handles (TPM 2.0 Part 1, §18.9); none where its tag says so.
pub fn authorised(command: &[u8], handles: usize) -> Vec<Authorised> {
    if command[..2] != [0x80, 2] {
        return Vec::new();
    }
    let at = 10 + 4 * handles;
    let length = usize::try_from(u32::from_be_bytes(command[at..at + 4].try_into().expect("four bytes"))).expect("small");
    let (mut rest, mut found) = (&command[at + 4..at + 4 + length], Vec::new());
    let sized = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    while !rest.is_empty() {
        let nonce = sized(&rest[4..]);
        let secret = sized(&rest[7 + nonce..]);
        let session = u32::from_be_bytes(rest[..4].try_into().expect("four bytes"));
        found.push(Authorised { session, attributes: rest[6 + nonce] });
        rest = &rest[9 + nonce + secret..];
    }
    found
}

/// TPM2_PCR_Extend with an empty password, as bytes.
pub fn extend_command(pcr: u8, digest: u8) -> Vec<u8> {
    let mut rest = vec![0, 0, 0, pcr, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b];
    rest.extend_from_slice(&[digest; 32]);
    let length = u32::try_from(10 + rest.len()).expect("small");
    [&[0x80, 2][..], &length.to_be_bytes(), &0x182_u32.to_be_bytes(), &rest].concat()
}

/// An answer with nothing but a response code.
pub fn answer(code: u32) -> Vec<u8> {
    [&[0x80, 1, 0, 0, 0, 10][..], &code.to_be_bytes()].concat()
}
