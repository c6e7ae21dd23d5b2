//! Makes an estate of its spec: certificates by rcgen, files in a directory, modes and owners in its `estate.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    RsaKeySize, SanType, SerialNumber,
};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::spec::{Cert, Estate};

/// When all estates are judged, unless one says otherwise.
pub const AT: &str = "2026-11-24T12:00:00Z";

/// A certificate that was made.
pub struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
    issuer: String,
}

/// Certificates by name, made as they are asked for; hosts that share them share their keys.
pub type Certificates = BTreeMap<String, Made>;

/// Certificates of one estate.
struct Maker<'a> {
    estate: &'a Estate,
    made: &'a mut Certificates,
}

/// Writes the estate below `top`.
pub fn build(estate: &Estate, top: &Path) {
    build_with(estate, top, &mut Certificates::new());
}

/// The same with certificates that other hosts have as well.
pub fn build_with(estate: &Estate, top: &Path, made: &mut Certificates) {
    let mut maker = Maker { estate, made };
    let mut lost = format!("host = \"{}\"\n", estate.host.as_deref().unwrap_or("spire.funlab.casa"));
    for (path, file) in &estate.files {
        let more = file.more();
        let at = top.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(at.parent().expect("a parent")).expect("directories");
        if let Some(target) = &more.link {
            symlink(target, &at).expect("a link");
            continue;
        }
        let text = more.text.as_deref().unwrap_or_default();
        let secret = text.contains("{{key ");
        if more.directory {
            std::fs::create_dir_all(&at).expect("a directory");
        } else {
            std::fs::write(&at, maker.content(text)).expect("a file");
        }
        let mode = more.mode.as_deref().unwrap_or(match (more.directory, secret) {
            (true, _) => "0755",
            (_, true) => "0600",
            _ => "0644",
        });
        let owner = more.owner.as_deref().unwrap_or("root");
        let group = more.group.as_deref().unwrap_or("root");
        write!(lost, "[[file]]\npath = {path:?}\nowner = {owner:?}\ngroup = {group:?}\nmode = {mode:?}\n").expect("text");
    }
    directories(estate, &mut lost);
    std::fs::write(top.join("estate.toml"), lost).expect("estate.toml");
}

/// What nobody speaks of is root's: the copy's own owners are those of whoever runs the test.
fn directories(estate: &Estate, lost: &mut String) {
    let mut all = std::collections::BTreeSet::from(["/".to_owned()]);
    for path in estate.files.keys() {
        all.extend(Path::new(path).ancestors().skip(1).map(|directory| directory.display().to_string()));
    }
    for directory in all.iter().filter(|directory| !estate.files.contains_key(*directory)) {
        write!(lost, "[[file]]\npath = {directory:?}\nowner = \"root\"\ngroup = \"root\"\nmode = \"0755\"\n").expect("text");
    }
}

impl Maker<'_> {
    /// A text with what stands in `{{…}}` filled in.
    fn content(&mut self, text: &str) -> Vec<u8> {
        if let Some(name) = text.strip_prefix("{{der ").and_then(|rest| rest.strip_suffix("}}")) {
            self.make(name);
            return self.made[name].der.clone();
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let (inside, tail) = after.split_once("}}").expect("}} after {{");
            if inside.starts_with(' ') {
                // A template of somebody else's.
                out.push_str(&format!("{{{{{inside}}}}}"));
            } else {
                out.push_str(&self.fill(inside));
            }
            // A block of PEM brings its own end of line.
            rest = if inside.starts_with(' ') {
                tail
            } else if out.ends_with('\n') {
                tail.strip_prefix('\n').unwrap_or(tail)
            } else {
                tail
            };
        }
        out.push_str(rest);
        out.into_bytes()
    }

    fn fill(&mut self, inside: &str) -> String {
        let words: Vec<&str> = inside.split_whitespace().collect();
        let name = words[1];
        self.make(name);
        match words[0] {
            "cert" => self.pem(name),
            "chain" => self.chain(name),
            "full" => self.pem(name) + &self.chain(name),
            // Two blocks on one line, as cat makes of a file without an end of line.
            "glued" => self.pem(name).trim_end().to_owned() + &self.chain(name),
            // With an empty line in its base64.
            "gap" => {
                let pem = self.pem(name);
                let (first, rest) = pem.match_indices('\n').nth(2).map_or((pem.as_str(), ""), |(at, _)| pem.split_at(at + 1));
                format!("{first}\n{rest}")
            }
            "key" => self.made[name].key.serialize_pem().replace("\r\n", "\n"),
            "sha256" => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.made[name].der);
                digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
            }
            other => panic!("{}: {{{{{other}}}}} is not known", self.estate.name),
        }
    }

    fn pem(&self, name: &str) -> String {
        use p256::pkcs8::der::pem::{LineEnding, encode_string};
        encode_string("CERTIFICATE", LineEnding::LF, &self.made[name].der).expect("PEM")
    }

    /// What lies between a certificate and its root.
    fn chain(&mut self, name: &str) -> String {
        let mut text = String::new();
        let mut at = self.made[name].issuer.clone();
        while self.made[&at].issuer != at {
            text.push_str(&self.pem(&at));
            at = self.made[&at].issuer.clone();
        }
        text
    }

    fn make(&mut self, name: &str) {
        if self.made.contains_key(name) {
            return;
        }
        let spec = self.estate.certs.get(name).unwrap_or_else(|| panic!("{}: there is no certificate {name}", self.estate.name)).clone();
        let issuer = spec.issuer.clone().unwrap_or_else(|| if spec.ca == Some(true) { name.to_owned() } else { "middle".to_owned() });
        let key = self.key(spec.key.as_deref().unwrap_or("ec"));
        let params = params(name, &spec);
        let der = if issuer == name {
            params.self_signed(&key).expect("self-signed").der().to_vec()
        } else {
            self.make(&issuer);
            let above = &self.made[&issuer];
            params.signed_by(&key, &Issuer::from_params(&above.params, &above.key)).expect("signed").der().to_vec()
        };
        self.made.insert(name.to_owned(), Made { params, key, der, issuer });
    }

    fn key(&mut self, kind: &str) -> KeyPair {
        if let Some(other) = kind.strip_prefix("same ") {
            self.make(other);
            return KeyPair::from_pem(&self.made[other].key.serialize_pem()).expect("the same key");
        }
        match kind {
            "ec" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            "p384" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            "ed25519" => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            "rsa" => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            other => panic!("a key of kind {other} is not known"),
        }
        .expect("a key")
    }
}

fn params(name: &str, spec: &Cert) -> CertificateParams {
    let ca = spec.ca == Some(true);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let common_name = spec.cn.clone().unwrap_or_else(|| name.to_owned());
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    let at = OffsetDateTime::parse(AT, &Rfc3339).expect("a time");
    params.not_before = at + span(spec.from.as_deref().unwrap_or(if ca { "-365d" } else { "-1h" }));
    params.not_after = params.not_before + span(spec.life.as_deref().unwrap_or(if ca { "3650d" } else { "24h" }));
    let digits = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{name}{:?}", spec.serial).as_bytes());
    params.serial_number = Some(SerialNumber::from_slice(&[&[0x2b], &digits.as_ref()[..15]].concat()));
    params.use_authority_key_identifier_extension = spec.aki.unwrap_or(spec.issuer.is_some() || !ca);
    if ca {
        params.is_ca = IsCa::Ca(spec.path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
    }
    let usages =
        spec.ku.clone().unwrap_or_else(|| if ca { vec!["keyCertSign".into(), "cRLSign".into()] } else { vec!["digitalSignature".into()] });
    params.key_usages = usages.iter().map(|usage| key_usage(usage)).collect();
    let ekus = spec.eku.clone().unwrap_or_else(|| if ca { vec![] } else { vec!["server".into()] });
    params.extended_key_usages = ekus.iter().map(|eku| extended(eku)).collect();
    let dns = spec.dns.iter().flatten().map(|name| SanType::DnsName(name.as_str().try_into().expect("a DNS name")));
    let ip = spec.ip.iter().flatten().map(|ip| SanType::IpAddress(ip.parse().expect("an address")));
    let uri = spec.uri.iter().flatten().map(|uri| SanType::URI(uri.as_str().try_into().expect("a URI")));
    params.subject_alt_names = dns.chain(ip).chain(uri).collect();
    params
}

fn extended(word: &str) -> ExtendedKeyUsagePurpose {
    match word {
        "server" => ExtendedKeyUsagePurpose::ServerAuth,
        "client" => ExtendedKeyUsagePurpose::ClientAuth,
        "any" => ExtendedKeyUsagePurpose::Any,
        "code" => ExtendedKeyUsagePurpose::CodeSigning,
        other => panic!("EKU {other} is not known"),
    }
}

fn key_usage(word: &str) -> KeyUsagePurpose {
    match word {
        "digitalSignature" => KeyUsagePurpose::DigitalSignature,
        "keyEncipherment" => KeyUsagePurpose::KeyEncipherment,
        "keyAgreement" => KeyUsagePurpose::KeyAgreement,
        "keyCertSign" => KeyUsagePurpose::KeyCertSign,
        "cRLSign" => KeyUsagePurpose::CrlSign,
        other => panic!("key usage {other} is not known"),
    }
}

/// `-90m`, `24h`, `7d`.
fn span(text: &str) -> Duration {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let length = omens::model::span::parse(text).expect("a length of time");
    Duration::seconds(sign * i64::try_from(length.as_secs()).expect("seconds"))
}
