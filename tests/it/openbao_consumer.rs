//! A real OpenBao as a consumer: the certificate of its own listener. What signs is another OpenBao, that of all tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::child::Server;
use crate::lab::client::served_leaf;
use crate::lab::estate::{Cert, Estate};
use crate::lab::openbao::{NAMES, OpenBao, Options, binary};
use crate::lab::pki::{Ca, CaKeys, Leaf, ROOT, ec_key};
use crate::lab::{free_port, place, wait_for};

/// An OpenBao that nobody initialised: its listener serves all the same. It begins with a certificate that is not ours.
struct Consumer {
    dir: PathBuf,
    port: u16,
    server: Option<Server>,
    estate: Estate,
}

impl Consumer {
    fn new(listener: &str) -> Self {
        let (dir, port) = (place::directory("consumer"), free_port());
        let key = ec_key();
        let own = Ca::root(ROOT, CaKeys::Ec).leaf(&key, &Leaf::server("old", &["old"], &[], time::Duration::HOUR));
        std::fs::write(dir.join("listener.crt"), own.pem()).unwrap();
        place::write_secret(&dir.join("listener.key"), &key.serialize_pem());
        let shown = dir.display();
        let hcl = format!(
            "storage \"inmem\" {{}}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{shown}/listener.crt\"\n  \
             tls_key_file = \"{shown}/listener.key\"\n  {listener}\n}}\napi_addr = \"https://127.0.0.1:{port}\"\n"
        );
        std::fs::write(dir.join("bao.hcl"), hcl).unwrap();
        let mut consumer = Self { dir, port, server: None, estate: Estate::at_openbao() };
        consumer.start();
        let (dir, port) = (consumer.dir.display().to_string(), consumer.port);
        let mut cert = Cert::web("bao").seen_at(port, "3s").reloaded_by(&consumer.driver());
        cert.extra = format!("install = [ {{ dir = \"{dir}\", fullchain = \"listener.crt\", key = \"listener.key\" }} ]\n");
        consumer.estate.certs.push(cert);
        consumer.estate.write();
        consumer
    }

    fn driver(&self) -> String {
        format!("{{ openbao = {{ pid = \"{}\" }} }}", self.dir.join("bao.pid").display())
    }

    fn start(&mut self) {
        let mut command = Command::new(binary().expect("OpenBao is missing: `./run test` installs it"));
        command.arg("server").arg(format!("-config={}", self.dir.join("bao.hcl").display())).env_clear().env("PATH", "/usr/bin:/bin");
        let server = Server::start(command, &self.dir.join("bao.log"), Signal::TERM);
        std::fs::write(self.dir.join("bao.pid"), format!("{}\n", server.pid())).unwrap();
        self.server = Some(server);
        wait_for("the consumer to serve", Duration::from_secs(20), || self.served().is_some());
    }

    fn served(&self) -> Option<String> {
        served_leaf(self.port, NAMES[0])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("bao.log")).unwrap()
    }

    /// What serves is what is published.
    #[track_caller]
    fn agrees(&self) {
        assert_eq!(self.served(), self.estate.published_leaf("bao"));
    }

    /// The first certificate: issued, not installed, and its service left alone; then installed and taken up.
    fn adopt(&mut self) {
        let old = self.served();
        let first = self.estate.renew();
        first.expect(0, "bao", "renewed");
        assert_eq!((first.cert("bao")["proof"].as_str(), is_not_installed(&first)), (Some("none"), true), "{first}");
        assert_eq!((self.served(), self.log().matches("reload triggered").count()), (old.clone(), 0), "it was not asked");
        // Once more the same: nothing is signed, asked or written.
        let ledger = self.estate.ledger().len();
        let again = self.estate.renew();
        again.expect(0, "bao", "not-due");
        assert_eq!((is_not_installed(&again), self.estate.ledger().len()), (true, ledger), "{again}");
        assert_eq!((self.served(), self.estate.signed()), (old, 1));
        assert_eq!(self.estate.omens(&["install"]).code, 0);
        let taken = self.estate.renew();
        taken.expect(0, "bao", "settled");
        assert_eq!(taken.cert("bao")["proof"], "served", "{taken}");
        self.agrees();
    }
}

fn is_not_installed(run: &crate::lab::estate::Run) -> bool {
    run.cert("bao")["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == "not-installed")
}

/// A program of the administrator's.
fn script(dir: &std::path::Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn openbao_takes_its_own_certificate_up_by_hup_and_is_put_back_where_it_does_not() {
    let mut consumer = Consumer::new("");
    consumer.adopt();
    let before = consumer.log().matches("reload triggered").count();
    consumer.estate.force().expect(0, "bao", "renewed");
    consumer.agrees();
    assert_eq!(consumer.log().matches("reload triggered").count(), before + 1, "one HUP");

    // A pair that it cannot use: it keeps the old one in silence, the wire says so, and the previous one is published again.
    let good = consumer.served().unwrap();
    let break_it = script(&consumer.dir, "break", ": > \"$OMENS_DIR/key.pem\"");
    let installed = consumer.estate.certs[0].extra.clone();
    consumer.estate.certs[0].extra = format!("{installed}before = {{ exec = {{ command = [\"{break_it}\"] }} }}\n");
    consumer.estate.write();
    let refused = consumer.estate.force();
    refused.expect(1, "bao", "rolled-back").because("bao", "verify/old-leaf");
    assert_eq!((consumer.served().unwrap(), consumer.estate.published_leaf("bao").unwrap()), (good.clone(), good.clone()));
    consumer.estate.certs[0].extra = installed;
    consumer.estate.write();
    consumer.estate.renew().expect(0, "bao", "settled");
    consumer.agrees();

    // A HUP that reaches another one is said to be a success, and the old certificate is served.
    let good = consumer.served().unwrap();
    let own = std::fs::read_to_string(consumer.dir.join("bao.pid")).unwrap();
    std::fs::write(consumer.dir.join("bao.pid"), OpenBao::shared().pid().to_string()).unwrap();
    consumer.estate.force().expect(1, "bao", "rolled-back").because("bao", "verify/old-leaf");
    assert_eq!(consumer.served().unwrap(), good);
    std::fs::write(consumer.dir.join("bao.pid"), own).unwrap();
    consumer.estate.renew().expect(0, "bao", "settled");

    // Stopped: it is left alone, and reads the new one when it starts.
    consumer.server = None;
    let stopped = consumer.estate.force();
    stopped.expect(0, "bao", "renewed");
    assert_eq!(stopped.cert("bao")["proof"], "service-stopped", "{stopped}");
    consumer.start();
    consumer.agrees();
    consumer.estate.renew().expect(0, "bao", "settled");
}

#[test]
fn an_openbao_that_looks_at_its_files_by_itself_gets_no_hup() {
    let mut consumer = Consumer::new("tls_auto_reload = true");
    consumer.adopt();
    assert!(!consumer.log().contains("reload triggered"), "{}", consumer.log());
    assert!(consumer.log().contains("tls auto-reload: reloaded"), "{}", consumer.log());
}

#[test]
fn a_server_that_is_sealed_after_it_was_asked_is_a_failure_and_nothing_goes_back() {
    let server = OpenBao::start(Options::QUICK);
    let mut estate = Estate::at_openbao();
    std::fs::write(server.dir.join("bao.pid"), server.pid().to_string()).unwrap();
    let driver = format!("{{ openbao = {{ pid = \"{}/bao.pid\" }} }}", server.dir.display());
    let mut cert = Cert::web("bao").seen_at(server.port, "3s").reloaded_by(&driver);
    cert.extra = format!("install = [ {{ dir = \"{}\", fullchain = \"listener.crt\", key = \"listener.key\" }} ]\n", server.dir.display());
    estate.certs.push(cert);
    estate.write();
    estate.renew().expect(0, "bao", "renewed");
    assert_eq!(estate.omens(&["install"]).code, 0);
    estate.renew().expect(0, "bao", "settled");
    // Somebody seals it when it has just been asked.
    let log = server.dir.join("bao.log");
    let asked = move || std::fs::read_to_string(&log).unwrap().matches("reload triggered").count();
    let before = asked();
    let (address, token) = (server.address(), server.token.clone());
    let sealing = std::thread::spawn(move || {
        wait_for("a HUP", Duration::from_secs(30), || asked() > before);
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--fail", "-X", "PUT", "-H", &format!("X-Vault-Token: {token}"), &format!("{address}/v1/sys/seal")]);
        crate::lab::child::run(curl, Duration::from_secs(20)).code
    });
    let sealed = estate.force();
    assert_eq!(sealing.join().unwrap(), 0);
    sealed.expect(1, "bao", "failed").because("bao", "verify/sealed-by-reload");
    let served = served_leaf(server.port, NAMES[0]);
    assert_eq!((served.clone(), estate.published("bao")), (estate.published_leaf("bao"), Some(2)), "the new one stays: {sealed}");
    assert_eq!(estate.omens(&["status"]).code, 1);
    // A sealed one takes HUP and serves the new certificate: nothing but that is asked of it.
    estate.renew().expect(0, "bao", "settled");
}

#[test]
fn what_before_refuses_is_not_published_and_waits() {
    let mut estate = Estate::at_openbao().with(Cert::web("bao"));
    estate.renew().expect(0, "bao", "renewed");
    let seen = estate.dir.join("seen");
    let text = format!("env | grep ^OMENS_ | sort > {}; echo \"not on a Sunday\" >&2; exit 3", seen.display());
    let refuse = script(&estate.dir, "refuse", &text);
    estate.certs[0].extra = format!("before = {{ exec = {{ command = [\"{refuse}\"] }} }}\n");
    estate.write();
    let refused = estate.force();
    refused.expect(1, "bao", "failed").because("bao", "publish/hook-refused");
    assert!(refused.cert("bao")["error"]["text"].as_str().unwrap().contains("not on a Sunday"), "{refused}");
    assert_eq!((estate.published("bao"), refused.cert("bao")["debt"]["generation"].as_u64()), (Some(1), Some(2)), "{refused}");
    let told = std::fs::read_to_string(&seen).unwrap();
    let names: Vec<&str> = told.lines().filter_map(|line| line.split('=').next()).collect();
    let all = ["OMENS_DIR", "OMENS_GENERATION", "OMENS_NAME", "OMENS_NOT_AFTER", "OMENS_REASON", "OMENS_SERIAL", "OMENS_SHA256"];
    assert_eq!(names, all);
    assert!(told.contains("OMENS_REASON=") && told.contains("forced") && told.contains("/bao/gen-2"), "{told}");
    // Allowed, it is deployed without another signature.
    script(&estate.dir, "refuse", "exit 0");
    estate.renew().expect(0, "bao", "settled");
    assert_eq!((estate.published("bao"), estate.signed()), (Some(2), 2));
    // A program that others could have written is no setting.
    std::fs::set_permissions(estate.dir.join("refuse"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let unsafe_program = estate.omens(&["check-config"]);
    assert_eq!((unsafe_program.code, unsafe_program.json["errors"][0]["code"].as_str()), (2, Some("permissions")), "{unsafe_program}");
}
