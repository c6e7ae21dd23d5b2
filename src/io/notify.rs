//! What a service tells systemd (sd_notify(3)): that it is ready, that it is alive, and in a line what it does. Nothing that goes wrong here
//! stops it.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

/// What systemd gave a service: `$NOTIFY_SOCKET` and `$WATCHDOG_USEC`.
#[derive(Clone, Debug)]
pub struct NotifySettings {
    /// Path of the socket; one that begins with `@` is of the abstract name space.
    pub socket: PathBuf,
    /// Within which systemd wants a sign of life.
    pub watchdog: Option<Duration>,
}

/// systemd, or nobody.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Whoever listens there.
    #[must_use]
    pub fn to(settings: Option<&NotifySettings>) -> Self {
        let watchdog = settings.and_then(|settings| settings.watchdog);
        Self { socket: settings.and_then(|settings| connect(settings).ok()), watchdog }
    }

    /// How often to say that the service is alive: at half of what is allowed.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|within| within / 2).filter(|every| self.socket.is_some() && !every.is_zero())
    }

    /// It serves.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// It is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// It ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What it does, in a line.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={line}\nWATCHDOG=1"));
    }

    fn send(&self, message: &str) {
        if let Some(why) = self.socket.as_ref().and_then(|socket| socket.send(message.as_bytes()).err()) {
            tracing::debug!(%why, message, "systemd was not told");
        }
    }
}

fn connect(settings: &NotifySettings) -> std::io::Result<UnixDatagram> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    let socket = UnixDatagram::unbound()?;
    let path = settings.socket.as_os_str().as_bytes();
    match path.strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(&settings.socket)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_that_a_service_is_ready_and_alive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let watchdog = Some(Duration::from_secs(4));
        let notify = Notify::to(Some(&NotifySettings { socket: path, watchdog }));
        notify.ready();
        notify.status("pass");
        let mut buffer = [0; 64];
        for expected in ["READY=1", "STATUS=pass\nWATCHDOG=1"] {
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
        assert_eq!(notify.watchdog(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn without_systemd_nobody_is_told() {
        let nowhere = NotifySettings { socket: "/nonexistent/socket".into(), watchdog: Some(Duration::from_secs(4)) };
        for notify in [Notify::to(None), Notify::to(Some(&nowhere))] {
            notify.ready();
            assert_eq!(notify.watchdog(), None);
        }
    }
}
