//! Settings files as people write them, with every mistake at once.

use std::fs;
use std::path::{Path, PathBuf};

use omens::config::settings::{InstallKind, Owner, Part, ServerName, Settings};
use omens::config::{LoadOptions, load};
use omens::model::anchor::Fingerprint;
use omens::model::key::Keep;
use omens::model::report::SettingsError;
use omens::steps::service::DRIVERS;

/// A directory with an anchor, to write settings into.
pub(crate) struct Etc {
    dir: tempfile::TempDir,
    pin: Fingerprint,
}

impl Etc {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = root();
        fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
        Self { dir, pin: Fingerprint::of(root.der()) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in which `DIR` and `PIN` stand for this directory and its anchor.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("DIR", self.dir.path().to_str().unwrap()).replace("PIN", self.pin.as_str())).unwrap();
    }

    pub(crate) fn load(&self) -> Result<Settings, Vec<SettingsError>> {
        load(&LoadOptions { file: self.path("omens.toml"), credentials: None, check_secrets: false, drivers: DRIVERS })
    }

    /// `LINE:COLUMN CODE: TEXT | SUGGESTION`, with the file in front where it is not `omens.toml`.
    pub(crate) fn errors(&self) -> Vec<String> {
        let short = |text: &str| text.replace(&format!("{}/", self.dir.path().display()), "");
        let show = |e: SettingsError| {
            let at = e.line.zip(e.column).map_or(String::new(), |(line, column)| format!("{line}:{column} "));
            let file = if e.file == self.path("omens.toml").display().to_string() { String::new() } else { format!("{}:", short(&e.file)) };
            format!("{file}{at}{}: {} | {}", e.code, short(&e.text), short(&e.suggestion.unwrap_or_default()))
        };
        self.load().map_or_else(|errors| errors.into_iter().map(show).collect(), |_| Vec::new())
    }
}

fn root() -> rcgen::Certificate {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
}

pub(crate) const HEAD: &str = r#"
[host]
name = "spire.funlab.casa"
[paths]
state = "/var/lib/omens"
run = "/run/omens"
policies = "DIR/policies"
[trust]
anchor = "DIR/root.pem"
anchor_sha256 = "PIN"
[openbao]
address = "https://spire.funlab.casa:8200"
mount = "pki_int"
login = [{ approle = { role_id = "file:/etc/omens/role-id", secret_id = "credential:secret-id" } }]
"#;

pub(crate) const CERTIFICATE: &str = r#"
[[certificate]]
name = "nginx"
profile = "tls-server"
role = "infrastructure"
ttl = "24h"
common_name = "web.funlab.casa"
"#;

/// The errors of the settings that are sound but for what is added.
fn errors_of(more: &str) -> Vec<String> {
    let etc = Etc::new();
    etc.write("omens.toml", &format!("{HEAD}{CERTIFICATE}{more}"));
    etc.errors()
}

#[test]
fn everything_of_the_design_is_understood() {
    let etc = Etc::new();
    etc.write("omens.toml", HEAD);
    etc.write("omens.d/10-nginx.toml", CERTIFICATE);
    etc.write("omens.d/20-keylime.toml", r#"
[[certificate]]
name = "keylime-verifier"
profile = "mtls-service"
role = "keylime-services"
ttl = "24h"
common_name = "verifier.keylime.funlab.casa"
dns = ["localhost", "*.web.funlab.casa"]
ip = ["10.10.2.62", "::1"]
key = { algorithm = "ec-p384", keep = "file" }
owner = "root"
group = "0"
install = [{ dir = "/etc/keylime/certs/", cert = "verifier.crt", key = "verifier.key", ca = "ca.crt" }, { dir = "/srv", combined = "x", as = "copy" }]
reload = [{ nginx = { unit = "nginx.service" } }, { nginx = { conf = "/x/nginx.conf", prefix = "/x" } }, { systemd = { unit = "a@b.service", action = "restart", start = true } }]
verify = [{ tls = { address = "127.0.0.1:8881", server_name = "a.web.funlab.casa", deadline = "20s" } }, { tls = { address = "[::1]:8881" } }]
"#);
    etc.write(
        "policies/certificates/mtls-service.toml",
        &fs::read_to_string("policies/certificates/mtls-service.toml").unwrap().replace("false", "true"),
    );
    assert_eq!(etc.errors(), Vec::<String>::new());

    let settings = etc.load().unwrap();
    assert_eq!((settings.anchor.sha256.clone(), settings.openbao.ca.clone()), (etc.pin.clone(), vec![settings.anchor.der.clone()]));
    let [nginx, keylime] = settings.certificates.as_slice() else { panic!("two certificates") };
    assert_eq!((nginx.name().as_str(), nginx.request.algorithm.as_str(), nginx.request.profile.wildcard), ("nginx", "ec-p256", false));
    assert_eq!(keylime.owner, Owner { uid: Some(0), gid: Some(0) });
    assert!(keylime.request.profile.wildcard, "a file wins over the shipped profile");
    assert_eq!(keylime.install[0].dir, Path::new("/etc/keylime/certs"));
    assert_eq!(keylime.install[0].files.last(), Some(&(Part::Key, "verifier.key".to_owned())));
    assert_eq!(keylime.install[1].kind, InstallKind::Copy);
    assert_eq!(keylime.reload.len(), 3);
    assert_eq!(keylime.verify[0].server_name, ServerName::Dns("a.web.funlab.casa".to_owned()));
    assert_eq!(keylime.verify[1].server_name, ServerName::Ip("::1".parse().unwrap()));
}

#[test]
fn all_mistakes_of_a_file_are_said_at_once_with_place_and_remedy() {
    let etc = Etc::new();
    etc.write(
        "omens.toml",
        r#"[host]
nmae = "web"
[trust]
anchor = "DIR/root.pem"
anchor_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[openbao]
address = "http://spire.funlab.casa:8200"
mount = "pki_int"
login = [{ tpm_identety = {} }, { aprole = {} }, { token = { token = "hvs.secret" } }]

[[certificate]]
name = "ü"; profile = "tls-server"
"#,
    );
    // One syntax error does not hide the rest, and is not itself repeated as something missing.
    let broken = etc.errors();
    assert!(broken.iter().any(|e| e.starts_with("12:11 syntax: ")), "{broken:#?}");
    assert!(broken.iter().any(|e| e.starts_with("2:1 unknown-key: ")), "{broken:#?}");
    assert!(!broken.iter().any(|e| e.contains("missing")), "{broken:#?}");

    let text = fs::read_to_string(etc.path("omens.toml")).unwrap();
    etc.write("omens.toml", &text.replace("name = \"ü\"; profile = \"tls-server\"", r#"name = "Ü"; "#.trim_end_matches("; ")));
    let text = fs::read_to_string(etc.path("omens.toml")).unwrap();
    etc.write(
        "omens.toml",
        &format!(
            "{text}{}",
            r#"profile = "tls-sever"
role = 7
ttl = "24"
common_name = "web.funlab.casa"
dns = ["ok.funlab.casa", "10.0.0.1", "ä_b"]
key = { algorithm = "ec-p521", keep = "sealed" }
reload = [{ nginx = { unit = "nginx" } }]
verify = [{ tls = { address = "127.0.0.1" } }]
"#
        ),
    );
    let all: &[&str] = &[
        r#"2:1 unknown-key: [host] has no key "nmae" | write "name", which [host] has to have"#,
        "5:17 anchor-pin: the certificate in root.pem has the SHA-256 PIN, expected 0000000000000000000000000000000000000000000000000000000000000000 | find out which is right where the root was made (openssl x509 -noout -fingerprint -sha256 -in root.pem): put the right root into that file, or its fingerprint here",
        r#"7:11 bad-value: plain http is refused: the login and the certificate would cross the network unprotected and unproven | write https://spire.funlab.casa:8200 and give the listener a certificate"#,
        r#"9:12 unknown-key: there is no way to log in "tpm_identety" | did you mean "tpm_identity"? known here: approle, cert, jwt, token, tpm_identity, jwt_svid"#,
        r#"9:35 unknown-key: there is no way to log in "aprole" | did you mean "approle"? known here: approle, cert, jwt, token, tpm_identity, jwt_svid"#,
        r#"9:70 bad-value: expected "file:PATH" or "credential:NAME", found something else; a secret never stands in the settings | write the secret to a file of mode 0600 and name that: "file:/etc/omens/NAME""#,
        r#"12:8 bad-value: a name starts with a lower-case letter or a digit, found "Ü" | call it after its service, such as "nginx""#,
        r#"13:11 unknown-profile: there is no profile "tls-sever" (neither shipped nor in /etc/omens/policies/certificates) | did you mean "tls-server"? known profiles: host-identity, infrastructure-rsa, keylime-agent, mtls-client, mtls-service, tls-server"#,
        r#"14:8 wrong-type: expected a string, found an integer | write it in quotes: "7""#,
        r#"15:7 bad-value: expected a number with its unit, such as "90s", "10m", "24h" or "7d", found "24" | write the unit, such as "24s" or "24h""#,
        r#"17:26 bad-value: expected a DNS name, found "10.0.0.1" | put addresses into "ip""#,
        r#"17:38 bad-value: expected a DNS name, found "ä_b" | letters, digits and '-' in labels of at most 63 characters; an underscore is in no host name"#,
        r#"18:21 bad-value: expected one of ec-p256, ec-p384, ed25519, ml-dsa-44, ml-dsa-65, rsa-2048, rsa-3072, rsa-4096, found "ec-p521" | did you mean "ec-p256"? known here: ec-p256, ec-p384, ed25519, ml-dsa-44, ml-dsa-65, rsa-2048, rsa-3072, rsa-4096"#,
        r#"18:39 missing: keep = "sealed" needs a TPM to seal to, and there is no [tpm] | add [tpm] with tcti = "device:/dev/tpmrm0", or write keep = "file""#,
        r#"19:30 bad-value: expected the name of a systemd unit, found "nginx" | write it like "nginx.service""#,
        r#"20:31 bad-value: expected HOST:PORT, found "127.0.0.1" | write it like "127.0.0.1:443" or "[::1]:443""#,
    ];
    let all: Vec<String> = all.iter().map(|line| line.replace("PIN", etc.pin.as_str())).collect();
    assert_eq!(etc.errors(), all);
}

#[test]
fn values_are_checked_against_each_other() {
    let cases: &[(&str, &str)] = &[
        (
            r#"key = { algorithm = "ec-p256", keep = "resident" }"#,
            "missing: keep = \"resident\" needs a TPM to seal to, and there is no [tpm]",
        ),
        (r#"dns = ["*.funlab.casa"]"#, "bad-value: profile tls-server allows no wildcard, found \"*.funlab.casa\""),
        (r#"group = "no-such-group""#, "bad-value: this host has no group \"no-such-group\""),
        (
            r#"verify = [{ tls = { address = "127.0.0.1:443" } }]"#,
            "bad-value: \"127.0.0.1\" is none of the names of this certificate (web.funlab.casa)",
        ),
        (
            r#"verify = [{ tls = { address = "127.0.0.1:443", server_name = "x.web.funlab.casa" } }]"#,
            "bad-value: \"x.web.funlab.casa\" is none of",
        ),
        (
            r#"reload = [{ nginx = { unit = "nginx.service", pid = "/run/x" } }]"#,
            "bad-value: nginx is either a unit of systemd or a process of its own",
        ),
        ("reload = [{ nginx = {} }]", "bad-value: expected where nginx is, found nothing"),
        ("reload = [{ keylime_agent = {} }]", "bad-value: expected where the service runs, found nothing"),
        (r#"reload = [{ systemd = { unit = "-x.service" } }]"#, "bad-value: expected the name of a systemd unit"),
        (r#"install = [{ dir = "/x", cert = "c", key = "c" }]"#, "duplicate: the install target /x/c is set twice, first at"),
        (r#"install = [{ dir = "/x" }]"#, "missing: install entry names no file"),
        (
            r#"install = [{ dir = "/run/omens/nginx", cert = "c" }]"#,
            "bad-value: /run/omens/nginx lies in /run/omens, which omens keeps for itself",
        ),
        (r#"install = [{ dir = "/x", cert = "../c" }]"#, "bad-value: expected a plain file name, found \"../c\""),
        (r#"install = [{ dir = "x/y", cert = "c" }]"#, "bad-value: expected an absolute path, found \"x/y\""),
        ("[tpm]\npcrs = [7]", "missing: [tpm] has no \"tcti\""),
        ("[tpm]\ntcti = \"device\"", "bad-value: a bare \"device\" means /dev/tpm0, which has no resource manager"),
        ("[tpm]\ntcti = \"device:/dev/tpm0\"", "bad-value: /dev/tpm0 has no resource manager"),
        ("[tpm]\ntcti = \"swtpm:path=/run/x\"", "bad-value: expected \"host=\" and \"port=\", each once"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [24]", "bad-value: expected PCRs from 0 to 23, found 24"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [7, 23]", "found 23, which every program may reset"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [-1]", "wrong-type: expected the number of a PCR, found -1"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [7, 4, 7]", "bad-value: PCR 7 stands there twice"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [\"7\"]", "wrong-type: expected the number of a PCR, found a string"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = 7", "wrong-type: expected an array, found an integer"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\nmax_age = \"10m\"", "bad-value: expected a max_age of at least 1h, found 10m"),
        ("[tpm]\ntcti = \"device:/dev/tpmrm0\"\nbank = \"sha1\"", "unknown-key: [tpm] has no key \"bank\""),
        ("[attestaton]\nrequired = true", "unknown-key: the top level has no key \"attestaton\""),
        (CERTIFICATE, "duplicate: certificate \"nginx\" is set twice, first at omens.toml:17:8"),
        ("role = \"again\"", "duplicate: \"role\" is set twice, first at omens.toml:19:1"),
    ];
    for (more, expected) in cases {
        let errors = errors_of(more);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{more}\n{errors:#?}");
    }
    assert_eq!(errors_of("[attestation]\nrequired = false"), Vec::<String>::new());
}

#[test]
fn attestation_names_who_gives_the_verdict() {
    for (more, expected) in [
        ("[attestation]\nrequired = true", "missing: [attestation] requires a verdict, and names nobody who gives one"),
        (
            "[attestation]\nby = [{ keylime = { registrar = \"https://a:1\", verifier = \"https://a:2\" } }]",
            "missing: [attestation] needs the TPM",
        ),
        ("[attestation]\nby = [{ keylime = { registrar = \"http://a:1\", verifier = \"https://a:2\" } }]", "bad-value: "),
        ("[attestation]\nby = [{ keylime = { verifier = \"https://a:2\" } }]", "missing: attester keylime has no \"registrar\""),
        ("[attestation]\nby = [{ keylim = {} }]", "unknown-key: there is no attester \"keylim\""),
        (
            "[attestation]\nby = [{ keylime = { registrar = \"https://a:1\", verifier = \"https://a:2\", agent_id = \"d432fbb3-d2f1-4a97-9ef7-75bd81c00000\" } }]",
            "agent-id-default: this is the id of every Keylime agent",
        ),
    ] {
        let errors = errors_of(more);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{more}\n{errors:#?}");
    }
}

#[test]
fn keys_are_sealed_wherever_there_is_a_tpm_and_never_copied() {
    let keep = |tpm: &str, more: &str| {
        let etc = Etc::new();
        etc.write("omens.toml", &format!("{HEAD}\n{tpm}\n{CERTIFICATE}\n{more}\n"));
        etc.load().map(|settings| (settings.certificates[0].keep, settings.sealing)).map_err(|_| etc.errors())
    };
    let tpm = "[tpm]\ntcti = \"device:/dev/tpmrm1\"";
    assert_eq!(keep("", "").unwrap(), (Keep::File, None));
    let (default, sealing) = keep(tpm, "").unwrap();
    let sealing = sealing.unwrap();
    assert_eq!((default, sealing.tcti.to_string(), sealing.pcrs.is_empty()), (Keep::Sealed, "device:/dev/tpmrm1".to_owned(), true));
    assert_eq!(sealing.max_age.as_secs(), 7 * 86_400);
    assert_eq!(keep(tpm, "key = { keep = \"file\" }").unwrap().0, Keep::File);
    assert_eq!(keep(&format!("{tpm}\npcrs = [7, 4]\nmax_age = \"1d\""), "").unwrap().1.unwrap().pcrs.numbers(), [4, 7]);
    let copy = "install = [{ dir = \"/srv\", key = \"k\", as = \"copy\" }]";
    let refused = keep(tpm, copy).unwrap_err();
    assert!(refused.len() == 1 && refused[0].contains("copies would put the plaintext of a sealed key on a disk"), "{refused:?}");
    assert_eq!(keep(tpm, &format!("key = {{ keep = \"file\" }}\n{copy}")).unwrap().0, Keep::File);
    let nowhere = keep("", "key = { keep = \"sealed\" }").unwrap_err();
    assert!(nowhere.len() == 1 && nowhere[0].contains("missing: keep = \"sealed\" needs a TPM"), "{nowhere:?}");
}

#[test]
fn a_ttl_stays_within_the_least_and_the_profile() {
    for (ttl, good) in [("59s", false), ("60s", true), ("720h", true), ("721h", false), ("60500ms", false)] {
        let etc = Etc::new();
        etc.write("omens.toml", &format!("{HEAD}{}", CERTIFICATE.replace("24h", ttl)));
        assert_eq!(etc.errors().is_empty(), good, "{ttl}: {:?}", etc.errors());
    }
}

#[test]
fn files_add_to_each_other_and_never_choose() {
    let etc = Etc::new();
    etc.write("omens.toml", &format!("{HEAD}{CERTIFICATE}"));
    etc.write("omens.d/.hidden.toml", "nonsense");
    etc.write("omens.d/notes.txt", "nonsense");
    etc.write("omens.d/a.toml", "[openbao]\nmount = \"other\"\nca = \"DIR/root.pem\"\n");
    etc.write("omens.d/b.toml", CERTIFICATE);
    etc.write("omens.d/c.toml", "certificate = 1\nrole = 2");
    assert_eq!(
        etc.errors(),
        [
            r#"omens.d/a.toml:2:1 duplicate: [openbao] "mount" is set twice, first at omens.toml:13:1 | keep one of them"#,
            r#"omens.d/b.toml:3:8 duplicate: certificate "nginx" is set twice, first at omens.toml:17:8 | keep one of them"#,
            r#"omens.d/c.toml:1:1 duplicate: "certificate" is set twice, first at omens.toml:16:3 | keep one of them"#,
            r#"omens.d/c.toml:2:1 unknown-key: "role" is a key of [[certificate]], and stands above the first header | a header holds all that follows it, up to the next one: move "role" below [[certificate]]"#,
        ]
    );
}

#[test]
fn a_profile_file_is_held_to_the_same_care() {
    let etc = Etc::new();
    etc.write("omens.toml", &format!("{HEAD}{}", CERTIFICATE.replace("tls-server", "own")));
    etc.write(
        "policies/certificates/own.toml",
        r#"purpose = "server"
eku = { required = ["clientAuth", "anyExtendedKeyUsage"], alowed = [] }
key_usage = { required = ["digitalSignatur", "keyCertSign"] }
keys = []
lifetime = { min = "2h", max = "1h" }
[lints]
"eku.absent" = "low"
"path.expired" = "low"
chain.root-included = "low"
"chain.root-included" = "lo"
"#,
    );
    let errors = etc.errors();
    let starts = [
        "2:35 bad-value: anyExtendedKeyUsage is refused",
        "2:59 unknown-key: \"eku\" has no key \"alowed\" | did you mean \"allowed\"?",
        "3:27 bad-value: expected a key usage, found \"digitalSignatur\" | did you mean \"digitalSignature\"?",
        "3:46 bad-value: keyCertSign is refused",
        "4:8 bad-value: expected at least one key algorithm",
        "5:12 bad-value: expected \"min\" not above \"max\"",
        "7:1 bad-value: \"eku.absent\" is a check that no profile may change",
        "8:1 bad-value: \"path.expired\" is a check that no profile may change",
        "9:1 bad-value: expected the id of a lint, found \"chain\" without quotes",
        "10:25 bad-value: expected one of high, medium, low, info, found \"lo\" | did you mean \"low\"?",
    ];
    assert_eq!(errors.len(), starts.len(), "{errors:#?}");
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(&format!("policies/certificates/own.toml:{start}")), "{error}\n{start}");
    }
}

#[test]
fn every_shipped_profile_can_be_used() {
    for (name, ttl) in [
        ("host-identity", "72h"),
        ("tls-server", "720h"),
        ("mtls-service", "168h"),
        ("mtls-client", "168h"),
        ("keylime-agent", "60s"),
        ("infrastructure-rsa", "24h"),
    ] {
        let etc = Etc::new();
        etc.write("omens.toml", &format!("{HEAD}{}", CERTIFICATE.replace("tls-server", name).replace("24h", ttl)));
        assert_eq!(etc.errors(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_one_error_with_a_way_out() {
    let etc = Etc::new();
    let hint = "`omens init` prints settings for what this host uses, and /usr/share/doc/omens/examples/omens.toml is an example; name settings elsewhere with --config FILE";
    assert_eq!(etc.errors(), [format!("unreadable: omens.toml: no such file or directory | {hint}")]);
    fs::create_dir(etc.path("omens.toml")).unwrap();
    assert_eq!(etc.errors(), [format!("unreadable: omens.toml is a directory, expected a regular file | {hint}")]);
    fs::remove_dir(etc.path("omens.toml")).unwrap();
    fs::write(etc.path("omens.toml"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(
        etc.errors(),
        [
            "unreadable: omens.toml is larger than 1048576 bytes | split it: certificates may stand in any number of files omens.d/*.toml beside the main one"
        ]
    );
    fs::write(etc.path("omens.toml"), b"[host]\nname = \"\xff\"").unwrap();
    assert_eq!(etc.errors(), ["2:9 syntax: expected UTF-8 text, found a byte that is none | save the file as UTF-8"]);
}

#[test]
fn the_anchor_is_one_certificate_and_the_bundle_any_number() {
    let etc = Etc::new();
    let root_pem = fs::read_to_string(etc.path("root.pem")).unwrap();
    etc.write("omens.toml", &HEAD.replace("mount", "ca = \"DIR/two.pem\"\nmount"));
    fs::write(etc.path("two.pem"), format!("{root_pem}{}", root().pem())).unwrap();
    assert_eq!(etc.load().unwrap().openbao.ca.len(), 2);

    fs::copy(etc.path("two.pem"), etc.path("root.pem")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    fs::write(etc.path("two.pem"), &key).unwrap();
    let errors = etc.errors();
    assert!(errors[0].starts_with("9:10 bad-value: expected exactly one certificate in root.pem, found 2"), "{errors:#?}");
    assert!(errors[1].starts_with("13:6 bad-value: two.pem holds a block of type \"PRIVATE KEY\""), "{errors:#?}");
    for (content, expected) in [
        ("", "root.pem holds no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "that is no certificate"),
    ] {
        fs::write(etc.path("root.pem"), content).unwrap();
        assert!(etc.errors()[0].contains(expected), "{:?}", etc.errors());
    }
}

#[test]
fn secrets_are_looked_at_only_where_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt as _;
    let etc = Etc::new();
    etc.write("omens.toml", &HEAD.replace("/etc/omens/role-id", "DIR/role-id"));
    let check = |check_secrets| {
        load(&LoadOptions { file: etc.path("omens.toml"), credentials: None, check_secrets, drivers: DRIVERS })
            .map_err(|e| e[0].code.as_str())
    };
    assert!(check(false).is_ok());
    assert_eq!(check(true).unwrap_err(), "unreadable");
    etc.write("role-id", "abc\n");
    fs::set_permissions(etc.path("role-id"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(check(true).unwrap_err(), "permissions");
    fs::set_permissions(etc.path("role-id"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(check(true).is_ok());
}

#[test]
fn a_login_without_its_secret_is_no_error_where_another_has_its_own() {
    let etc = Etc::new();
    let two = "login = [ { token = { token = \"file:DIR/gone\" } }, { token = { token = \"file:DIR/here\" } } ]";
    let head = HEAD.lines().map(|line| if line.starts_with("login") { two } else { line }).collect::<Vec<_>>().join("\n");
    etc.write("omens.toml", &head);
    let check = || load(&LoadOptions { file: etc.path("omens.toml"), credentials: None, check_secrets: true, drivers: DRIVERS });
    assert_eq!(check().unwrap_err().len(), 2, "none of them has a secret");
    etc.write("here", "t\n");
    std::os::unix::fs::chown(etc.path("here"), None, None).unwrap();
    fs::set_permissions(etc.path("here"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(check().unwrap().openbao.login.len(), 2);
}

#[test]
fn settings_that_others_can_write_are_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let etc = Etc::new();
    etc.write("omens.toml", &format!("{HEAD}{CERTIFICATE}"));
    etc.write("policies/certificates/other.toml", "");
    for (path, mode, back) in [("omens.toml", 0o666, 0o644), ("policies", 0o777, 0o755)] {
        fs::set_permissions(etc.path(path), fs::Permissions::from_mode(mode)).unwrap();
        let errors = etc.errors();
        assert!(errors.len() == 1 && errors[0].contains(&format!("permissions: {path} has mode 0{mode:o}")), "{errors:?}");
        fs::set_permissions(etc.path(path), fs::Permissions::from_mode(back)).unwrap();
    }
    assert!(etc.load().is_ok());
}
