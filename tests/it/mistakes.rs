//! The mistakes that a new user makes, each with the whole text that the binary prints: fixtures/mistakes.txt, to be read as that user would.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::openbao::OpenBao;

const PAGE: &str = "fixtures/mistakes.txt";
const OFFLINE: &[&str] = &["check-config"];
const ONLINE: &[&str] = &["check-config", "--online"];

/// One host after the other, with one mistake each.
struct Walk {
    estate: Estate,
    good: String,
    page: String,
}

impl Walk {
    /// Runs the binary on these settings, notes what it prints, and puts right what was wrong.
    fn says(&mut self, mistake: &str, settings: &str, arguments: &[&str]) {
        assert_ne!((settings, mistake.contains("the settings are right")), (self.good.as_str(), false), "{mistake}: nothing was changed");
        fs::write(self.estate.settings(), settings).unwrap();
        let ended = self.estate.plain(arguments);
        let text = self.shown(&ended.stdout);
        assert!(ended.code == 2 || text.contains("warning: "), "{mistake}: {ended:?}");
        self.page.push_str(&format!("# {mistake}\n$ omens {}\n{text}exit {}\n\n", arguments.join(" "), ended.code));
        fs::write(self.estate.settings(), &self.good).unwrap();
    }

    /// Settings in which one text is another.
    fn with(&self, from: &str, to: &str) -> String {
        assert!(self.good.contains(from), "{from}");
        self.good.replacen(from, to, 1)
    }

    /// The certificate's lines, to be written once more.
    fn certificate(&self) -> String {
        let at = self.good.find("[[certificate]]").unwrap();
        self.good[at..].to_owned()
    }

    /// The same text on every host: what this lab calls things, and what other tests added to it, stands for itself.
    fn shown(&self, text: &str) -> String {
        let dir = self.estate.dir.display().to_string();
        let address = self.estate.authority.address.trim_start_matches("https://");
        let text = text.replace(&dir, "/etc/omens").replace(address, "openbao.example:8200");
        let is_of_this_host = |line: &str| ["no-systemd", "danger", "  version"].iter().any(|word| line.contains(word));
        let mut shown = String::new();
        for line in text.lines().filter(|line| !is_of_this_host(line)) {
            // Where a secret stands in its line depends on the length of this host's paths.
            let line = match line.split_once("omens.toml:16:").and_then(|(before, after)| Some((before, after.split_once(':')?.1))) {
                Some((before, after)) => format!("{before}omens.toml:16:…:{after}"),
                None => line.to_owned(),
            };
            // The list of all that there is grows with omens and with this lab; the nearest one stands before it.
            let lists = ["? known here: ", "? pki_int has ", "? this login may use "];
            let line = match lists.iter().find_map(|list| Some((list, line.split_once(list)?.0))) {
                Some((list, before)) => format!("{before}{list}…"),
                None => line,
            };
            let words: Vec<String> = line
                .split(' ')
                .map(|word| {
                    let digits = word.chars().filter(char::is_ascii_hexdigit).count();
                    let rest: String = word.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
                    if digits == 64 && rest.len() < 2 { format!("…{rest}") } else { word.to_owned() }
                })
                .collect();
            shown.push_str(words.join(" ").trim_end());
            shown.push('\n');
        }
        shown
    }
}

#[test]
fn what_a_new_user_gets_wrong_is_said_so_that_it_can_be_put_right() {
    let bao = OpenBao::shared();
    let look = "path \"pki_int/roles\" { capabilities = [\"list\"] }\npath \"pki_int/roles/*\" { capabilities = [\"read\"] }";
    bao.api("PUT", "sys/policies/acl/omens-look", Some(serde_json::json!({ "policy": look })));
    let (role_id, secret_id) = bao.approle("newcomer", &["omens-renew", "omens-look"]);
    let authority = Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    // Somebody who speaks first, and no TLS.
    let speaker = std::thread::spawn(move || {
        if let Ok((mut stream, _)) = plain.accept() {
            std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n").ok();
            std::io::Read::read(&mut stream, &mut [0; 16]).ok();
        }
    });
    let estate = Estate::new("newcomer", authority).with(Cert::web("web"));
    let good = estate.settings_text();
    let mut walk = Walk { estate, good, page: String::new() };

    let text = walk.with("[[certificate]]", "[certificate]");
    walk.says("One pair of brackets where two belong", &text, OFFLINE);
    let text = walk.with("common_name", "comon_name");
    walk.says("A key that is misspelled", &text, OFFLINE);
    let key = "key = { algorithm = \"ec-p256\", keep = \"file\" }\n";
    let text = walk.with(key, "[certificate.key]\nkeep = \"file\"\nreload = [ { nginx = { conf = \"/etc/nginx/nginx.conf\" } } ]\n");
    walk.says("A key below the wrong header", &text, OFFLINE);
    let text = walk.with("eye-of-thundera.pem", "root.pem");
    walk.says("A root file that is not there", &text, OFFLINE);

    let own = fs::read_to_string(walk.estate.anchor()).unwrap();
    fs::write(walk.estate.anchor(), crate::lab::pki::Ca::root("Other Root", crate::lab::pki::CaKeys::Ec).pem).unwrap();
    let text = format!("{}\n", walk.good);
    walk.says("The root file of another CA", &text, OFFLINE);
    fs::write(walk.estate.anchor(), own).unwrap();

    let text = walk.with("https://", "http://");
    walk.says("http where https belongs", &text, OFFLINE);
    let text = walk.with("file:", "");
    walk.says("A secret without \"file:\"", &text, OFFLINE);

    let secret = walk.estate.dir.join("secret-id");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let text = format!("{}\n", walk.good);
    walk.says("A secret id that everybody may read", &text, OFFLINE);
    let kept = fs::read_to_string(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    walk.says("A secret id that is not there", &text, OFFLINE);
    crate::lab::place::write_secret(&secret, "11111111-2222-3333-4444-555555555555");
    walk.says("A secret id that has expired", &text, ONLINE);
    crate::lab::place::write_secret(&secret, &kept);

    let text = walk.with("\n[[certificate]]", "\n[tpm]\ntcti = \"device:/dev/tpmrm9\"\npcrs = [7, 70]\n\n[[certificate]]");
    walk.says("A PCR that there is not", &text, OFFLINE);
    let text = walk.with("\n[[certificate]]", "\n[tpm]\ntcti = \"device:/dev/tpmrm9\"\n\n[[certificate]]");
    walk.says("A TPM that is not there", &text, ONLINE);
    let text = format!("{}group = \"www-dta\"\n", walk.good);
    walk.says("A group that is gone", &text, OFFLINE);
    let text = format!("{}{}", walk.good, walk.certificate());
    walk.says("Two certificates of one name", &text, OFFLINE);
    let install = "install = [ { dir = \"/etc/ssl/web\", fullchain = \"web.pem\", combined = \"web.pem\" } ]\n";
    let text = format!("{}{install}", walk.good);
    walk.says("Two files at one place", &text, OFFLINE);
    let text = walk.with("role = \"web-ec\"", "role = \"web-ek\"");
    walk.says("A role that there is not", &text, ONLINE);
    let text = walk.with("mount = \"pki_int\"", "mount = \"pki-int\"");
    walk.says("A mount that there is not", &text, ONLINE);
    let verify = format!("verify = [ {{ tls = {{ address = \"127.0.0.1:{port}\", server_name = \"127.0.0.1\" }} }} ]\n");
    let text = format!("{}{verify}", walk.good);
    walk.says("An endpoint that speaks no TLS", &text, ONLINE);
    speaker.join().unwrap();
    let page = walk.page.replace(&port.to_string(), "PORT");

    let expected = fs::read_to_string(PAGE).unwrap_or_default();
    if page != expected {
        let seen = std::env::temp_dir().join("mistakes.txt");
        fs::write(&seen, &page).unwrap();
        let differs = page.lines().zip(expected.lines()).find(|(seen, expected)| seen != expected);
        panic!("the texts are others than in {PAGE}, see {}: {differs:?}", seen.display());
    }
}

#[test]
fn what_is_too_much_is_said_in_words_and_a_final_dot_is_dropped() {
    let etc = crate::settings::Etc::new();
    let (head, certificate) = (crate::settings::HEAD.replace("DIR/policies", "/etc/omens/policies"), crate::settings::CERTIFICATE);
    let names: Vec<String> = (0..5000).map(|number| format!("\"host-{number}.web.funlab.casa\"")).collect();
    etc.write("omens.toml", &format!("{head}{certificate}dns = [{}]\n", names.join(", ")));
    let errors = etc.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("expected names of at most 48 KiB together, found 5001 names of 136 KiB"), "{errors:?}");

    etc.write("omens.toml", &format!("{head}{certificate}# {}\n", "x".repeat(1024 * 1024)));
    let errors = etc.errors();
    assert!(
        errors.len() == 1
            && errors[0].ends_with("split it: certificates may stand in any number of files omens.d/*.toml beside the main one"),
        "{errors:?}"
    );

    let dotted = certificate.replace("web.funlab.casa", "web.funlab.casa.");
    etc.write(
        "omens.toml",
        &format!("{head}{dotted}dns = [\"www.funlab.casa.\"]\nverify = [{{ tls = {{ address = \"www.funlab.casa.:443\" }} }}]\n"),
    );
    let settings = etc.load().unwrap();
    assert_eq!(settings.certificates[0].request.common_name, "web.funlab.casa");
    assert_eq!(settings.certificates[0].request.dns, ["www.funlab.casa"]);

    // The kind of key is held against who has to load it.
    let profile = fs::read_to_string("policies/certificates/tls-server.toml").unwrap();
    etc.write("policies/certificates/tls-server.toml", &profile.replacen("keys = [", "keys = [\"ed25519\", \"ml-dsa-44\", ", 1));
    let (before, _) = crate::settings::HEAD.split_once("login = ").unwrap();
    crate::lab::place::write_secret(&etc.path("token"), "hvs.x");
    crate::lab::place::write_secret(&etc.path("password"), "changeit");
    let spire = "spire_agent = { unit = \"spire-agent.service\", plugin = { kind = \"NodeAttestor\", name = \"x509pop\", cert = \"certificate_path\", \
                 key = \"private_key_path\" } }";
    let nginx = "nginx = { conf = \"/etc/nginx/nginx.conf\" }";
    let rows = [
        ("ml-dsa-44", nginx, Some("nginx loads a key of type ml-dsa-44 only with OpenSSL 3.5")),
        ("ml-dsa-44", spire, Some("spire_agent loads a key of type ml-dsa-44 only with a build with ML-DSA")),
        ("ed25519", spire, Some("spire_agent loads a key of type ed25519 only with a SPIRE that takes more than EC and RSA")),
        ("ed25519", nginx, None),
        ("ec-p256", spire, None),
    ];
    for (algorithm, driver, expected) in rows {
        let entry = format!("key = {{ algorithm = \"{algorithm}\", keep = \"file\" }}\nreload = [ {{ {driver} }} ]\n");
        etc.write("omens.toml", &format!("{before}login = [ {{ token = {{ token = \"file:DIR/token\" }} }} ]\n{certificate}{entry}"));
        let said = checked(&etc);
        assert_eq!(said.contains("consumer-cannot-load"), expected.is_some(), "{algorithm} {driver}: {said}");
        assert!(said.contains(expected.unwrap_or_default()), "{algorithm}: {said}");
    }
    // A keystore is read by a Java that knows the kind of key.
    for (algorithm, expected) in [("ed25519", "only by Java 15 or newer"), ("ml-dsa-44", "only by Java 24 or newer"), ("ec-p256", "")] {
        let key = format!("key = {{ algorithm = \"{algorithm}\", keep = \"file\" }}\n");
        let store = "install = [ { dir = \"/etc/web\", jks = \"web.jks\", password = \"file:DIR/password\" } ]\n";
        etc.write("omens.toml", &format!("{before}login = [ {{ token = {{ token = \"file:DIR/token\" }} }} ]\n{certificate}{key}{store}"));
        let said = checked(&etc);
        assert!(said.contains("consumer-cannot-load") != expected.is_empty() && said.contains(expected), "{algorithm}: {said}");
    }
}

fn checked(etc: &crate::settings::Etc) -> String {
    let mut command = std::process::Command::new(crate::lab::estate::omens());
    let output = command.arg("--config").arg(etc.path("omens.toml")).args(["--json", "check-config"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
