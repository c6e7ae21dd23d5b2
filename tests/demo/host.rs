//! The host of the demo: OpenBao, nginx with three sites, settings, and what is done to them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lab::child::{as_user, run_shown};
use crate::lab::client::{served, trusted};
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::{OpenBao, Options};
use crate::lab::{pki, place};
use crate::show::{fact, heading, note, typed, verdict};

/// Name, key, role and profile of each certificate.
const SITES: [(&str, &str, &str, &str); 3] = [
    ("www", "ec-p256", "web-ec", "tls-server"),
    ("git", "ec-p384", "web-ec", "tls-server"),
    ("auth", "rsa-2048", "web-rsa", "infrastructure-rsa"),
];

pub struct Host {
    bao: OpenBao,
    nginx: Nginx,
    estate: Estate,
    ports: BTreeMap<&'static str, u16>,
}

fn host_name(name: &str) -> String {
    format!("{name}.funlab.casa")
}

impl Host {
    /// Starts the parts; nginx serves self-signed certificates, as somebody once made them by hand.
    pub fn set_up() -> Self {
        heading("The parts, all real, on loopback, in a private directory");
        let bao = OpenBao::start(Options::REAL);
        let mut estate = Estate::at(&bao);
        let mut nginx = Nginx::new(None);
        let mut ports = BTreeMap::new();
        for (name, ..) in SITES {
            let (cert, key) = by_hand(&nginx, name);
            ports.insert(name, nginx.fixed(&host_name(name), &cert, &key));
        }
        nginx.start();
        for (name, algorithm, role, profile) in SITES {
            let mut cert = Cert::web(name).reloaded_by(&nginx.driver());
            (cert.common_name, cert.algorithm) = (host_name(name), algorithm.into());
            (cert.role, cert.profile) = (role.into(), profile.into());
            estate.certs.push(cert.seen_at(ports[name], "5s"));
        }
        estate.write();
        let version = bao.ask("GET", "sys/health", None, None).map(|(_, d)| d["version"].as_str().unwrap_or("?").to_owned());
        fact("OpenBao", &format!("{} at {}", version.unwrap_or_default(), bao.address()));
        fact("", "\"Eye of Thundera\" → \"Book of Omens\", RSA-4096; the root's key never entered the server");
        let list: Vec<String> = SITES.iter().map(|(n, ..)| format!("{}:{}", host_name(n), ports[n])).collect();
        fact("nginx", &list.join("  "));
        fact("omens", &format!("omens = {} --config {}", omens().display(), estate.settings().display()));
        Self { bao, nginx, estate, ports }
    }

    /// Runs omens where a person can see it, and demands the exit code that the story needs.
    pub fn omens(&self, arguments: &[&str], code: i32) {
        typed(&format!("omens {}", arguments.join(" ")));
        let mut command = as_user(None, Some("KILL"), &omens());
        command.arg("--config").arg(self.estate.settings()).args(arguments);
        let ended = run_shown(command);
        if code != 0 && ended == code {
            note(&format!("exit code {ended}"));
        }
        assert_eq!(ended, code, "the demo expected exit code {code} here");
    }

    pub fn handshakes(&self) {
        for (name, ..) in SITES {
            self.handshake(name);
        }
    }

    /// One line about what a client sees.
    pub fn handshake(&self, name: &str) {
        let (port, host) = (self.ports[name], host_name(name));
        let chain = served(port, &host).expect("nginx answers");
        let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).expect("a certificate");
        let issuer = leaf.issuer().iter_common_name().next().and_then(|cn| cn.as_str().ok()).unwrap_or("?");
        let key = match leaf.public_key().parsed() {
            Ok(x509_parser::public_key::PublicKey::EC(point)) => format!("P-{}", point.key_size()),
            Ok(x509_parser::public_key::PublicKey::RSA(rsa)) => format!("RSA-{}", rsa.key_size()),
            _ => "?".into(),
        };
        let good = trusted(port, &host, &self.bao.root.der);
        let word = if good { verdict(true, "trusted") } else { verdict(false, "not trusted") };
        let sha256 = pki::sha256(&chain[0]);
        println!("    {host:<17} {key:<9} leaf {}…  by {issuer:<14} chain of {}  {word}", &sha256[..16], chain.len());
    }

    /// The administrator's part: nginx shall include what omens publishes. It takes effect with the reload that omens asks for.
    pub fn adopt(&mut self) {
        for (site, (name, ..)) in self.nginx.sites.iter_mut().zip(SITES) {
            site.certificate = format!("include {};", self.estate.include(name).display());
        }
        self.nginx.write();
        note("In nginx.conf each site now says:");
        note(&format!("    include {};", self.estate.run_dir().join("NAME/nginx.conf").display()));
    }

    fn set_role(&mut self, name: &str, role: &str) {
        for cert in self.estate.certs.iter_mut().filter(|c| c.name == name) {
            cert.role = role.into();
        }
        self.estate.write();
    }

    pub fn weaken_role(&mut self, name: &str) {
        note(&format!("In omens.toml the role of {name} is now \"weak-noeku\"."));
        self.set_role(name, "weak-noeku");
    }

    pub fn mend_role(&mut self, name: &str) {
        let role = SITES.iter().find(|(n, ..)| *n == name).expect("a site").2;
        self.set_role(name, role);
    }

    pub fn break_nginx(&self) {
        note("Somebody saves nginx.conf with the line: this_directive_does_not_exist on;");
        self.nginx.write_broken();
    }

    pub fn mend_nginx(&self) {
        self.nginx.write();
    }

    /// How many signing requests this host has sent.
    pub fn signed(&self) -> usize {
        self.bao.signed(&self.estate.login)
    }

    /// Every line of the ledger as a sentence.
    pub fn ledger(&self) {
        for entry in self.estate.ledger() {
            println!("    {}", sentence(&entry));
        }
        note(&format!("{}", self.estate.state().join("ledger.jsonl").display()));
    }

    /// Stays up until somebody has seen enough.
    pub fn keep(&self) {
        heading("It stays up: play with it");
        let dir = self.estate.dir.display();
        note("In another terminal:");
        typed(&format!("alias omens='{} --config {}'", omens().display(), self.estate.settings().display()));
        for command in [
            "omens plan; omens status; omens renew www --force; omens rollback www",
            "omens --json renew --all --force | jq .",
            "omens check-config --online",
        ] {
            typed(command);
        }
        typed(&format!("rm -rf {dir}/run && omens restore              # a reboot"));
        typed(&format!("$EDITOR {dir}/omens.toml"));
        typed(&format!(
            "openssl s_client -connect 127.0.0.1:{} -servername www.funlab.casa -CAfile {dir}/eye-of-thundera.pem",
            self.ports["www"]
        ));
        typed(&format!("tail -f {}/audit.log               # what OpenBao was asked", self.bao.dir.display()));
        note("Ctrl-C here ends it and removes everything.");
        loop {
            std::thread::park();
        }
    }
}

/// A self-signed pair in nginx's directory.
fn by_hand(nginx: &Nginx, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let key = pki::ec_key();
    let ca = pki::Ca::root("made by hand", pki::CaKeys::Ec);
    let leaf = pki::Leaf::server(&host_name(name), &[&host_name(name)], &[], time::Duration::days(3));
    let (cert_file, key_file) = (nginx.dir.join(format!("{name}.crt")), nginx.dir.join(format!("{name}.key")));
    std::fs::write(&cert_file, ca.leaf(&key, &leaf).pem()).expect("a certificate");
    place::write_secret(&key_file, &key.serialize_pem());
    (cert_file, key_file)
}

fn sentence(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or("?").to_owned();
    let generation = entry["generation"].as_u64().map(|n| format!("generation {n}")).unwrap_or_default();
    let why =
        format!("{} at {}", entry["error"]["code"].as_str().unwrap_or_default(), entry["error"]["stage"].as_str().unwrap_or_default());
    let what = match entry["outcome"].as_str().unwrap_or_default() {
        "renewed" => format!("renewed: {generation} is in use"),
        "settled" => format!("settled: {generation}, issued earlier, is in use now; nothing was signed"),
        "rolled-back" => format!("put back: {generation} was not taken up ({why})"),
        "refused" => {
            let findings: Vec<&str> = entry["findings"].as_array().into_iter().flatten().filter_map(|f| f["id"].as_str()).collect();
            format!("refused: the answer did not pass ({}); kept here, published nowhere", findings.join(", "))
        }
        other => format!("{other}: {why}"),
    };
    let time = text("time");
    format!("{}  {:<5} {what}", time.get(11..19).unwrap_or(&time), text("certificate"))
}
