//! Logging in by a JWT-SVID: a real SPIRE server and agent, a real OpenBao that takes the keys of that SPIRE, a certificate; and every way in which
//! there is none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::child::run;
use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::openbao::OpenBao;
use crate::lab::place;

/// Server and agent of the lab; they end with the test.
struct Spire {
    dir: PathBuf,
    shown: Value,
}

fn lab(arguments: &[&str], set: &[(&str, &str)]) -> crate::lab::child::Output {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/spire-lab.sh"));
    command.args(arguments).env("OMENS_LAB_PARENT", std::process::id().to_string()).envs(set.iter().copied());
    run(command, Duration::from_secs(90))
}

impl Spire {
    /// With JWT-SVIDs of this life.
    fn up(ttl: &str) -> Option<Self> {
        let dir = place::directory("svid");
        let up = lab(&["up", &dir.display().to_string()], &[("OMENS_LAB_JWT_TTL", ttl)]);
        if up.code == 125 {
            crate::skipped(&format!(
                "JWT-SVIDs of a real SPIRE: {}; `tests/lab/peers.sh build spire` builds it where Go is",
                up.stderr.trim()
            ));
            return None;
        }
        assert_eq!(up.code, 0, "{}\n{}", up.stdout, up.stderr);
        Some(Self { shown: serde_json::from_str(&up.stdout).expect("one line of JSON"), dir })
    }

    fn ask(&self, command: &str, arguments: &[&str]) -> String {
        let dir = self.dir.display().to_string();
        let all: Vec<&str> = [command, dir.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        let answered = lab(&all, &[]);
        assert_eq!(answered.code, 0, "{command}: {}", answered.stderr);
        answered.stdout
    }

    fn socket(&self) -> PathBuf {
        let path = PathBuf::from(self.shown["agent"]["socket"].as_str().expect("the agent's socket"));
        assert!(path.exists(), "{:#}", self.shown);
        path
    }

    fn id(&self) -> &str {
        self.shown["spiffe_id"].as_str().expect("the SPIFFE ID of the lab's entry")
    }
}

impl Drop for Spire {
    fn drop(&mut self) {
        lab(&["down", &self.dir.display().to_string()], &[]);
    }
}

/// An auth mount of its own, which takes what this SPIRE signs for this ID.
fn trust(bao: &OpenBao, spire: &Spire) {
    let keys: Value = serde_json::from_str(&spire.ask("jwt-keys", &[])).expect("keys");
    bao.api("POST", "sys/auth/jwt-svid", Some(json!({ "type": "jwt" })));
    bao.api("POST", "auth/jwt-svid/config", Some(json!({ "jwt_validation_pubkeys": keys, "jwt_supported_algs": ["ES256"] })));
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["openbao"], "bound_subject": spire.id(),
        "token_policies": ["omens-renew"], "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/jwt-svid/role/attested", Some(role));
}

fn host(bao: &OpenBao, socket: &Path, audience: &str, id: Option<&str>) -> Estate {
    let usual = Estate::at(bao);
    let id = id.map(|id| format!(", spiffe_id = \"{id}\"")).unwrap_or_default();
    let login = format!(
        "[ {{ jwt_svid = {{ socket = \"unix:{}\", audience = \"{audience}\", mount = \"jwt-svid\", role = \"attested\"{id} }} }} ]",
        socket.display()
    );
    Estate::new(&usual.login, Authority { login, address: bao.address(), ..usual.authority.clone() }).with(Cert::web("web"))
}

fn said(run: &Run) -> String {
    run.expect(1, "web", "failed").because("web", "issue/login-refused");
    assert!(run.cert("web")["error"]["hint"].is_string(), "{run}");
    run.cert("web")["error"]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_attested_host_has_certificates_signed_without_a_secret() {
    let Some(spire) = Spire::up("300") else { return };
    let (bao, socket) = (OpenBao::shared(), spire.socket());
    trust(bao, &spire);
    let estate = host(bao, &socket, "openbao", Some(spire.id()));
    let renewed = estate.renew();
    renewed.expect(0, "web", "renewed");
    // Neither the token nor anything like it lies anywhere or is said.
    let jwt = |text: &str| text.contains("eyJ");
    assert!(!jwt(&renewed.stdout) && !jwt(&renewed.stderr), "{renewed}");
    let found = run(
        {
            let mut grep = Command::new("grep");
            grep.args(["-rl", "eyJ"]).arg(&estate.dir).arg(estate.run_dir());
            grep
        },
        Duration::from_secs(10),
    );
    assert_eq!(found.stdout, "");
    let online = estate.omens(&["check-config", "--online"]);
    assert!(online.stdout.contains("jwt_svid is granted by evidence"), "{online}");

    host(bao, &socket, "openbao", None).renew().expect(0, "web", "renewed");
    assert!(said(&host(bao, &socket, "somebody-else", None).renew()).contains("audience"));
    let text = said(&host(bao, &socket, "openbao", Some("spiffe://funlab.casa/nobody")).renew());
    assert!(text.contains("no identity issued"), "{text}");

    let short = "spiffe://funlab.casa/short";
    spire.ask("entry", &[short, "unix:uid:0", "--", "-jwtSVIDTTL", "8"]);
    let text = said(&host(bao, &socket, "openbao", Some(short)).renew());
    assert!(text.contains("ends within 10 s"), "{text}");

    spire.ask("stop", &["agent"]);
    let text = said(&host(bao, &socket, "openbao", None).renew());
    assert!(text.contains("is not there"), "{text}");
    // A killed one leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let text = said(&host(bao, &socket, "openbao", None).renew());
    assert!(text.contains("refuses the connection"), "{text}");
}
