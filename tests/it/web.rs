//! What most tests start from: a host whose nginx serves one proven certificate, or one with a certificate and no service.

use std::time::Duration;

use crate::lab::child::User;
use crate::lab::client::served_leaf;
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::hostile::Hostile;
use crate::lab::nginx::Nginx;
use crate::lab::wait_for;

/// The name that everything here is served under.
pub const NAME: &str = crate::lab::openbao::NAMES[0];

/// A host with nginx and the certificate `web`.
pub struct Web {
    pub estate: Estate,
    pub nginx: Nginx,
    pub port: u16,
}

impl Web {
    /// Settings and an nginx that has not started: there is no certificate yet.
    pub fn stopped(estate: Estate) -> Self {
        Self::stopped_as(estate, None)
    }

    /// The same as another user.
    pub fn stopped_as(mut estate: Estate, user: Option<User>) -> Self {
        if let Some(user) = user {
            estate = estate.owned_by(user);
        }
        let mut nginx = Nginx::new(user);
        let port = nginx.include(NAME, &estate.include("web"));
        estate.certs = vec![Cert::web("web").reloaded_by(&nginx.driver()).seen_at(port, "2s")];
        estate.write();
        Self { estate, nginx, port }
    }

    /// A host of the shared OpenBao; `web` is generation 1, served and proven.
    pub fn serving() -> Self {
        Self::stopped(Estate::at_openbao()).proven()
    }

    /// First issue, start, proof.
    pub fn proven(mut self) -> Self {
        self.estate.renew().expect(0, "web", "renewed");
        self.nginx.start();
        self.estate.renew().expect(0, "web", "settled");
        assert_eq!(self.served(), self.estate.published_leaf("web"));
        self
    }

    /// The leaf on the wire.
    pub fn served(&self) -> Option<String> {
        served_leaf(self.port, NAME)
    }

    /// Demands that everybody agrees on this generation: both links, the pair and the wire.
    #[track_caller]
    pub fn agrees_on(&self, generation: u64, leaf: &str) {
        assert_eq!(self.estate.committed("web"), Some(generation), "/var live");
        assert_eq!(self.estate.published("web"), Some(generation), "/run live");
        assert_eq!(self.estate.published_leaf("web").as_deref(), Some(leaf), "/run cert.pem");
        wait_for("nginx to serve it", Duration::from_secs(3), || self.served().as_deref() == Some(leaf));
    }
}

/// A host whose certificate `web` came from a server that can lie; no service uses it.
pub fn issued() -> (Hostile, Estate) {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    (hostile, estate)
}

/// Whether the report of `web` has a warning of this code.
pub fn warned(run: &Run, code: &str) -> bool {
    run.cert("web")["warnings"].as_array().unwrap().iter().any(|w| w["code"] == code)
}
