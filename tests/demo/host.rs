//! The host of the demo: OpenBao, a TPM, nginx with three sites, settings, and what is done to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lab::child::{as_user, run_shown};
use crate::lab::client::{served, trusted};
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::{OpenBao, Options};
use crate::lab::swtpm::Swtpm;
use crate::lab::{pki, place};
use crate::show::{fact, heading, note, typed, verdict};

struct Site {
    name: &'static str,
    algorithm: &'static str,
    keep: &'static str,
    role: &'static str,
    profile: &'static str,
}

const SITES: [Site; 3] = [
    Site { name: "www", algorithm: "ec-p256", keep: "sealed", role: "web-ec", profile: "tls-server" },
    Site { name: "auth", algorithm: "rsa-2048", keep: "sealed", role: "web-rsa", profile: "infrastructure-rsa" },
    Site { name: "git", algorithm: "ec-p256", keep: "file", role: "web-ec", profile: "tls-server" },
];

/// What the firmware of this host measures into.
pub const PCR: u32 = 7;

pub struct Host {
    bao: OpenBao,
    tpm: Swtpm,
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
        let tpm = Swtpm::start(&[PCR]);
        let mut estate = Estate::at(&bao).with_tpm(&tpm.direct(), &[PCR]);
        let mut nginx = Nginx::new(None);
        let mut ports = BTreeMap::new();
        for Site { name, .. } in SITES {
            let (cert, key) = by_hand(&nginx, name);
            ports.insert(name, nginx.fixed(&host_name(name), &cert, &key));
        }
        nginx.start();
        for Site { name, algorithm, keep, role, profile } in SITES {
            let mut cert = Cert::web(name).reloaded_by(&nginx.driver());
            (cert.common_name, cert.algorithm, cert.keep) = (host_name(name), algorithm.into(), keep.into());
            (cert.role, cert.profile) = (role.into(), profile.into());
            estate.certs.push(cert.seen_at(ports[name], "5s"));
        }
        estate.write();
        let version = bao.ask("GET", "sys/health", None, None).map(|(_, d)| d["version"].as_str().unwrap_or("?").to_owned());
        fact("OpenBao", &format!("{} at {}", version.unwrap_or_default(), bao.address()));
        fact("", "\"Eye of Thundera\" → \"Book of Omens\", RSA-4096; the root's key never entered the server");
        let list: Vec<String> = SITES.iter().map(|site| format!("{}:{}", host_name(site.name), ports[site.name])).collect();
        fact("TPM", &format!("a software TPM 2.0 at {}; its firmware has measured into PCR {PCR}", tpm.direct()));
        fact("nginx", &list.join("  "));
        fact("omens", &format!("omens = {} --config {}", omens().display(), estate.settings().display()));
        Self { bao, tpm, nginx, estate, ports }
    }

    /// Runs omens where a person can see it, and demands the exit code that the story needs.
    pub fn omens(&self, arguments: &[&str], code: i32) {
        typed(&format!("omens {}", arguments.join(" ")));
        let mut command = as_user(None, Some("KILL"), &omens());
        command.arg("--config").arg(self.estate.settings()).args(arguments);
        // libtss2 writes to stderr by itself when a TPM refuses something.
        command.env("TSS2_LOG", "all+NONE");
        let ended = run_shown(command);
        if code != 0 && ended == code {
            note(&format!("exit code {ended}"));
        }
        assert_eq!(ended, code, "the demo expected exit code {code} here");
    }

    /// Calls a site by a name that it does not have.
    pub fn probe(&self, name: &str, wrong: &str) {
        self.omens(&["probe", &format!("127.0.0.1:{}", self.ports[name]), "--server-name", wrong], 1);
    }

    pub fn handshakes(&self) {
        for Site { name, .. } in SITES {
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
        for (site, Site { name, .. }) in self.nginx.sites.iter_mut().zip(SITES) {
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
        let role = SITES.iter().find(|site| site.name == name).expect("a site").role;
        self.set_role(name, role);
    }

    pub fn break_nginx(&self) {
        note("Somebody saves nginx.conf with the line: this_directive_does_not_exist on;");
        self.nginx.write_broken();
    }

    pub fn mend_nginx(&self) {
        self.nginx.write();
    }

    /// What somebody finds who takes the disk away.
    pub fn disk(&self) {
        for Site { name, keep, .. } in SITES {
            let live = self.estate.state().join("certs").join(name).join("live");
            let file = if keep == "sealed" { "key.sealed" } else { "key.pem" };
            let text = std::fs::read_to_string(live.join(file)).expect("the key as it rests");
            let clear = text.contains("PRIVATE KEY");
            typed(&format!("head {}", live.join(file).display()));
            text.lines().take(if clear { 1 } else { 4 }).for_each(|line| println!("    {}", line.get(..90).unwrap_or(line)));
            note(if clear {
                "… in clear: `keep = \"file\"` says so, and `omens status` too"
            } else {
                "… opens with this host's TPM alone"
            });
        }
        let plain = "grep -rl 'PRIVATE KEY' STATE".to_owned();
        typed(&plain);
        files_with(&self.estate.state(), "PRIVATE KEY").iter().for_each(|path| println!("    {}", path.display()));
    }

    /// As after a power-off: nothing runs, memory is empty, the TPM has lost its sessions and its PCRs begin anew.
    pub fn reboot(&mut self, measured: &[&str]) {
        typed("reboot");
        self.nginx.stop();
        self.tpm.reboot(&[PCR]);
        measured.iter().for_each(|what| self.tpm.extend(PCR, what));
        self.lose("");
        note(&format!("nginx is down, {} is empty", self.estate.run_dir().display()));
    }

    pub fn start_nginx(&mut self) {
        typed("systemctl start nginx        # in words: the demo's nginx has no systemd");
        self.nginx.start();
    }

    pub fn measure(&self, what: &str) {
        typed(&format!("tpm2_pcrextend {PCR}:sha256=…        # {what}"));
        self.tpm.extend(PCR, what);
    }

    /// Removes a certificate from the run directory, or all of it.
    pub fn lose(&self, name: &str) {
        let dir = self.estate.run_dir().join(name);
        if !name.is_empty() {
            typed(&format!("rm -r {}", dir.display()));
            return std::fs::remove_dir_all(dir).expect("it was there");
        }
        for entry in std::fs::read_dir(dir).expect("the run directory").flatten() {
            std::fs::remove_dir_all(entry.path()).expect("it was there");
        }
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
        typed(&format!("rm -rf {}/* && omens restore              # a reboot", self.estate.run_dir().display()));
        typed(&format!("TPM2TOOLS_TCTI={} tpm2_pcrread sha256:{PCR}", self.tpm.direct()));
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

fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read_to_string(&path).is_ok_and(|content| content.contains(text)) {
            found.push(path);
        }
    }
    found
}

/// A self-signed pair in nginx's directory.
fn by_hand(nginx: &Nginx, name: &str) -> (PathBuf, PathBuf) {
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
        "resealed" => format!("resealed: {generation} is the same certificate under a new sealing key"),
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
