//! Revocation lists for consumers: from OpenBao, and from an HTTPS server that does everything that one of the network may do.

use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::impostor::{Impostor, impostor};
use crate::lab::openbao::OpenBao;
use crate::lab::pki::{Ca, CaKeys, Leaf, ec_key, pem_blocks, serial_of};
use crate::trust::{root, settings, signatures};
use crate::web::{Web, warned};

/// A host whose nginx reads the root and lists, with a mount of its own; nothing runs yet.
fn host(mount: &str) -> Web {
    let bao = OpenBao::shared();
    bao.second_mount(mount, &bao.root);
    let policy = format!("path \"{mount}/sign/web-ec\" {{ capabilities = [\"update\"] }}");
    bao.api("PUT", &format!("sys/policies/acl/{mount}"), Some(json!({ "policy": policy })));
    let (role_id, secret_id) = bao.approle(mount, &["omens-renew", mount]);
    let mut web = Web::stopped(Estate::new(mount, Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id)));
    let etc = web.estate.dir.join("etc");
    std::fs::create_dir(&etc).unwrap();
    web.estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", ca = \"ca.pem\" }} ]\n", etc.display());
    web
}

/// Settings with one list, from there.
fn with_list(web: &Web, mount: &str, from: &str) {
    let pin = root("anchor", &web.estate.anchor(), &OpenBao::shared().root.pem);
    settings(web, &format!("{pin}crl = [ {{ {from}, file = \"crl.pem\" }} ]\n"), mount);
}

fn undelivered(run: &Run) -> Option<String> {
    undelivered_of(run, "web")
}

fn undelivered_of(run: &Run, name: &str) -> Option<String> {
    let warnings = run.cert(name)["warnings"].as_array().unwrap();
    let warning = warnings.iter().find(|warning| warning["code"] == "crl-not-delivered")?;
    Some(warning["text"].as_str().unwrap().to_owned())
}

fn sorted(serials: &[String]) -> Vec<String> {
    let mut all = serials.to_vec();
    all.sort();
    all
}

/// What stands in a list that consumers read: its bytes and the serial numbers on it.
fn list(estate: &Estate) -> (Vec<u8>, Vec<String>) {
    use x509_parser::prelude::FromDer as _;
    let path = estate.run_dir().join("trust/crl.pem");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let bytes = std::fs::read(path).unwrap();
    let der = omens::judge::pem::lists(&String::from_utf8_lossy(&bytes)).remove(0);
    let (_, crl) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der).unwrap();
    let serials = crl.iter_revoked_certificates().map(|one| one.raw_serial_as_string()).collect();
    (bytes, serials)
}

#[test]
fn revocation_lists_of_openbao_are_delivered_and_taken_up_and_a_bad_one_takes_no_place() {
    let bao = OpenBao::shared();
    let mut web = host("pki_lists");
    with_list(&web, "pki_lists", "mount = \"pki_lists\"");
    let run = web.estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!((undelivered(&run), list(&web.estate).1), (None, Vec::new()), "with the first certificate: {run}");
    assert_eq!(web.estate.omens(&["install"]).code, 0);
    web.nginx.start();
    web.estate.renew().expect(0, "web", "settled");
    web.estate.renew().expect(0, "web", "not-due");
    let (first, serials) = list(&web.estate);
    assert_eq!(serials, Vec::<String>::new());

    // A certificate of the mount is revoked. The list that is there holds: OpenBao is not asked for the sake of another one.
    web.estate.force().expect(0, "web", "renewed");
    let revoke = |generation: &str| {
        let old = web.estate.state().join("certs/web").join(generation).join("cert.pem");
        let serial = serial_of(&pem_blocks(&std::fs::read_to_string(old).unwrap())[0]);
        bao.api("POST", "pki_lists/revoke", Some(json!({ "serial_number": serial })));
        serial
    };
    let one = revoke("gen-1");
    web.estate.renew().expect(0, "web", "not-due");
    assert_eq!(list(&web.estate).0, first);
    // Where something is signed the list comes along, and consumers take both up at once.
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert_eq!(run.cert("web")["proof"], "served", "{run}");
    assert_eq!(list(&web.estate).1, [one.as_str()]);
    web.estate.renew().expect(0, "web", "not-due");
    // And where somebody wants to know it.
    let (signed, two) = (signatures(&web), revoke("gen-2"));
    let run = web.estate.omens(&["renew", "--all", "--check-revoked"]);
    run.expect(0, "web", "settled");
    assert_eq!((run.reasons("web"), run.cert("web")["proof"].as_str()), (vec!["trust-changed"], Some("served")), "{run}");
    let (second, serials) = list(&web.estate);
    assert_eq!((sorted(&serials), signatures(&web)), (sorted(&[one, two]), signed));
    web.estate.renew().expect(0, "web", "not-due");

    // What is no list, and one of an authority that nobody here trusts, leave the good one in its place.
    let stranger = Ca::root("Somebody Else", CaKeys::Ec);
    bao.second_mount("pki_strange", &stranger);
    for (mount, words) in [("no_such_mount", "no such list"), ("pki_strange", "not signed with the key")] {
        with_list(&web, "pki_lists", &format!("mount = \"{mount}\""));
        let run = web.estate.omens(&["renew", "--all", "--check-revoked"]);
        run.expect(0, "web", "not-due");
        let text = undelivered(&run).unwrap_or_else(|| panic!("{run}"));
        assert!(text.contains(words) && text.contains("the one that is there holds until"), "{text}");
        assert_eq!(list(&web.estate).0, second, "{mount}");
    }
    // After a boot it is there without a network, and not the one before.
    std::fs::remove_dir_all(web.estate.run_dir()).unwrap();
    web.estate.omens(&["restore"]).expect(0, "web", "restored");
    assert_eq!(list(&web.estate).0, second);
    assert_ne!(first, second);
}

#[test]
fn a_first_list_lies_there_before_the_first_service_is_asked_and_one_that_is_not_named_any_more_goes() {
    let (mut web, bao) = (host("pki_first_lists"), OpenBao::shared());
    let pin = root("anchor", &web.estate.anchor(), &bao.root.pem);
    // A service that cannot begin without its list.
    let (seen, wanted) = (web.estate.dir.join("seen"), web.estate.run_dir().join("trust/crl.pem"));
    let needs = format!("{{ exec = {{ command = [\"/bin/cp\", \"{}\", \"{}\"] }} }}", wanted.display(), seen.display());
    web.estate.certs = vec![Cert::web("web").reloaded_by(&needs)];
    let lists = "crl = [ { mount = \"pki_first_lists\", file = \"crl.pem\" }, { mount = \"no_such_mount\", file = \"none.pem\" } ]\n";
    settings(&web, &format!("{pin}{lists}"), "pki_first_lists");
    let run = web.estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(std::fs::read(&seen).unwrap(), list(&web.estate).0, "{run}");
    let text = undelivered(&run).unwrap_or_else(|| panic!("{run}"));
    assert!(text.contains("none.pem") && text.contains("consumers have none"), "{text}");

    // Nobody keeps it up to date any more, which whoever still names it has to know.
    let gone = |run: &Run, what: &str| {
        run.expect(0, "web", "not-due");
        let warnings = run.cert("web")["warnings"].as_array().unwrap();
        let removed: Vec<&str> =
            warnings.iter().filter(|one| one["code"] == "crl-removed").map(|one| one["text"].as_str().unwrap()).collect();
        assert!(removed.len() == 1 && removed[0].contains("crl.pem"), "{what}: {run}");
        assert!(!wanted.exists(), "consumers, {what}");
        assert!(!web.estate.state().join("crl/crl.pem").exists(), "a boot, {what}");
    };
    settings(&web, &pin, "pki_first_lists");
    gone(&web.estate.renew(), "in a run");
    web.estate.renew().expect(0, "web", "not-due");
    assert!(!warned(&web.estate.renew(), "crl-removed"), "said once");
    // After a boot consumers do not find it anyway; the next boot must not find it either.
    settings(&web, &format!("{pin}{lists}"), "pki_first_lists");
    web.estate.force().expect(0, "web", "renewed");
    assert!(wanted.exists());
    settings(&web, &pin, "pki_first_lists");
    std::fs::remove_dir_all(web.estate.run_dir()).unwrap();
    web.estate.omens(&["restore"]).expect(0, "web", "restored");
    gone(&web.estate.renew(), "after a boot");
    // Something else in the place of the lists costs no certificate.
    std::fs::remove_dir_all(web.estate.state().join("crl")).unwrap();
    std::fs::write(web.estate.state().join("crl"), "no directory").unwrap();
    web.estate.certs = vec![Cert::web("web")];
    settings(&web, &pin, "pki_first_lists");
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert!(warned(&run, "disk"), "{run}");
}

#[test]
fn a_certificate_that_comes_to_others_finds_the_lists_before_its_service_is_asked() {
    let (mut web, bao) = (host("pki_second"), OpenBao::shared());
    let pin = root("anchor", &web.estate.anchor(), &bao.root.pem);
    web.estate.certs = vec![Cert::web("web")];
    settings(&web, &pin, "pki_second");
    web.estate.renew().expect(0, "web", "renewed");
    // A list and a service that cannot begin without it, in one change of the settings; a person asks for the new certificate alone.
    let (seen, wanted) = (web.estate.dir.join("seen"), web.estate.run_dir().join("trust/crl.pem"));
    let needs = format!("{{ exec = {{ command = [\"/bin/cp\", \"{}\", \"{}\"] }} }}", wanted.display(), seen.display());
    web.estate.certs.push(Cert::web("api").reloaded_by(&needs));
    settings(&web, &format!("{pin}crl = [ {{ mount = \"pki_second\", file = \"crl.pem\" }} ]\n"), "pki_second");
    let run = web.estate.omens(&["renew", "api"]);
    run.expect(0, "api", "renewed");
    assert_eq!(std::fs::read(&seen).unwrap(), list(&web.estate).0, "{run}");
    // What does not come is said, also where only a new certificate is asked about.
    web.estate.certs.push(Cert::web("more"));
    settings(&web, &format!("{pin}crl = [ {{ mount = \"no_such_mount\", file = \"none.pem\" }} ]\n"), "pki_second");
    let run = web.estate.omens(&["renew", "more"]);
    run.expect(0, "more", "renewed");
    assert!(undelivered_of(&run, "more").is_some(), "{run}");
}

/// What a server does with a request for a list.
type Act = Box<dyn Fn(&mut dyn Write) + Send>;

/// An HTTPS server below some root, which counts what it is asked.
struct Site {
    port: u16,
    act: Arc<Mutex<Act>>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    fn start(ca: &Ca, name: &str) -> Self {
        let key = ec_key();
        let ip = "127.0.0.1".parse().unwrap();
        let leaf = if name == "127.0.0.1" {
            Leaf::server("lists", &[], &[ip], time::Duration::HOUR)
        } else {
            Leaf::server(name, &[name], &[], time::Duration::HOUR)
        };
        let chain = vec![ca.leaf(&key, &leaf).der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let act: Arc<Mutex<Act>> = Arc::new(Mutex::new(Box::new(|_| {})));
        let site = Self { port: listener.local_addr().unwrap().port(), act, asked: Arc::default() };
        let (act, asked) = (site.act.clone(), site.asked.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                answer(tcp, config.clone(), &act, &asked);
            }
        });
        site
    }

    fn does(&self, act: impl Fn(&mut dyn Write) + Send + 'static) {
        *self.act.lock().unwrap() = Box::new(act);
    }

    fn url(&self) -> String {
        format!("url = \"https://127.0.0.1:{}/lists/root.crl\"", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One request of a connection, whose answer may be anything.
fn answer(tcp: TcpStream, config: Arc<rustls::ServerConfig>, act: &Mutex<Act>, asked: &AtomicUsize) -> Option<()> {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).ok()?, tcp);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    asked.fetch_add(1, Ordering::SeqCst);
    assert!(head.starts_with(b"GET /lists/root.crl "), "{}", String::from_utf8_lossy(&head));
    act.lock().unwrap()(&mut tls);
    tls.flush().ok()
}

/// An answer with this body; `length` is what it claims.
fn http(status: &str, headers: &str, body: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

const HOUR: time::Duration = time::Duration::HOUR;

/// A host to which the server has given a good list: number 7 of the root, an hour old, which holds for two days.
fn served(mount: &str) -> (Web, Site, Vec<u8>) {
    let (web, site) = (host(mount), Site::start(&OpenBao::shared().root, "127.0.0.1"));
    let list = OpenBao::shared().root.list(-HOUR, 48 * HOUR, 7);
    let body = list.clone();
    site.does(move |out| drop(out.write_all(&ok(&body))));
    with_list(&web, mount, &site.url());
    let run = web.estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!((undelivered(&run), site.asked()), (None, 1), "once its issuer is known: {run}");
    web.estate.renew().expect(0, "web", "not-due");
    (web, site, list)
}

#[test]
fn a_list_comes_by_https_once_and_again_where_it_ends_soon() {
    let (web, site, _) = served("pki_by_url");
    web.estate.renew();
    web.estate.renew();
    assert_eq!(site.asked(), 1, "it holds for two days: nobody is asked");
    // A newer one, as PEM, takes its place.
    let newer = omens::judge::pem::write_list(&OpenBao::shared().root.list(-HOUR, 48 * HOUR, 8));
    let text = newer.clone();
    site.does(move |out| drop(out.write_all(&ok(text.as_bytes()))));
    assert_eq!(undelivered(&web.estate.omens(&["renew", "--all", "--check-revoked"])), None);
    assert_eq!(kept(&web), newer.as_bytes());
    // One that ends soon is asked for by any run.
    let (asked, soon) = (site.asked(), OpenBao::shared().root.list(-HOUR, HOUR / 2, 9));
    site.does(move |out| drop(out.write_all(&ok(&soon))));
    web.estate.omens(&["renew", "--all", "--check-revoked"]);
    web.estate.renew();
    web.estate.renew();
    assert_eq!(site.asked(), asked + 3);

    // Nothing is asked for while this host's state is not vouched for.
    let closed = impostor(Impostor::Closes);
    let text = std::fs::read_to_string(web.estate.settings()).unwrap();
    let gate = format!(
        "[tpm]\ntcti = \"{closed}\"\n[attestation]\nrequired = true\n\
         by = [ {{ keylime = {{ registrar = \"https://127.0.0.1:9\", verifier = \"https://127.0.0.1:9\" }} }} ]\n[openbao]\n"
    );
    std::fs::write(web.estate.settings(), text.replacen("[openbao]\n", &gate, 1)).unwrap();
    let run = web.estate.renew();
    let why = undelivered(&run).unwrap_or_else(|| panic!("{run}"));
    assert!(why.contains("without a pass of this host's state"), "{why}");
    assert_eq!(site.asked(), asked + 3, "{run}");
}

fn ok(body: &[u8]) -> Vec<u8> {
    http("200 OK", "", body, body.len())
}

/// What an answer may be in place of a good list, and a word of what is said of it.
fn answers(good: &[u8], port: u16) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (root, length) = (&OpenBao::shared().root, good.len());
    let named_alike = Ca::root(crate::lab::pki::ROOT, CaKeys::Ec).list(-HOUR, 48 * HOUR, 9);
    let pem = omens::judge::pem::write_list(good);
    let elsewhere = format!("Location: https://127.0.0.1:{port}/lists/root.crl\r\n");
    let chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", good].concat();
    vec![
        ("404", http("404 Not Found", "", good, length), "status 404"),
        ("500", http("500 Sorry", "", good, length), "status 500"),
        ("204", http("204 No Content", "", b"", 0), "status 204"),
        ("a redirect", http("302 Found", &elsewhere, good, length), "which is not followed"),
        ("a page", ok(b"<html><body>Welcome</body></html>"), "found none"),
        ("nothing", ok(b""), "found none"),
        ("cut off", http("200 OK", "", &good[..length - 40], length), ""),
        ("cut off, and said to be whole", ok(&good[..length - 40]), "crl.malformed"),
        ("two lists", ok(format!("{pem}{pem}").as_bytes()), "found 2"),
        ("bytes behind it", ok(&[good, &[0]].concat()), "crl.malformed"),
        ("more than anybody wants", ok(&vec![0x30; 2 << 20]), "more than 1048576 bytes"),
        ("a chunk of everything", chunked, ""),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), ""),
        ("older by its date", ok(&root.list(-2 * HOUR, 48 * HOUR, 9)), "older than the one"),
        ("less by its number", ok(&root.list(-HOUR, 48 * HOUR, 6)), "CRL number 6 is less than 7"),
        ("ended", ok(&root.list(-3 * HOUR, -HOUR, 9)), "it held until"),
        ("of a stranger", ok(&Ca::root("Somebody Else", CaKeys::Ec).list(-HOUR, HOUR, 9)), "expected a pinned root"),
        ("of an imposter", ok(&named_alike), "not signed with the key"),
    ]
}

#[test]
fn nothing_that_a_server_may_send_takes_the_place_of_a_good_list() {
    let (web, site, good) = served("pki_hostile_lists");
    let good_one = kept(&web);
    for (what, bytes, words) in answers(&good, site.port) {
        let asked = site.asked();
        site.does(move |out| drop(out.write_all(&bytes)));
        refused(&web, what, words, &good_one);
        assert_eq!(site.asked(), asked + 1, "{what}: once");
    }
    // Not even asked: TLS with somebody else's root or name, and none at all.
    for (what, other) in [
        ("another root", Site::start(&Ca::root("Somebody Else", CaKeys::Ec), "127.0.0.1")),
        ("another name", Site::start(&OpenBao::shared().root, "lists.funlab.casa")),
    ] {
        with_list(&web, "pki_hostile_lists", &other.url());
        refused(&web, what, "not trusted", &good_one);
        assert_eq!(other.asked(), 0, "{what}");
    }
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut tcp in plain.incoming().flatten() {
            tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    with_list(&web, "pki_hostile_lists", &format!("url = \"https://127.0.0.1:{port}/lists/root.crl\""));
    refused(&web, "no TLS", "", &good_one);
}

/// The list in the state directory, whoever reads it.
fn kept(web: &Web) -> Vec<u8> {
    let path = web.estate.state().join("crl/crl.pem");
    std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// A run that asks for the list says why it does not deliver what came, and the good one stays.
#[track_caller]
fn refused(web: &Web, what: &str, words: &str, good_one: &[u8]) {
    let run = web.estate.omens(&["renew", "--all", "--check-revoked"]);
    run.expect(0, "web", "not-due");
    let text = undelivered(&run).unwrap_or_else(|| panic!("{what}: {run}"));
    assert!(text.contains(words) && text.contains("the one that is there holds until"), "{what}: {text}");
    assert_eq!(kept(web), good_one, "{what}");
}
