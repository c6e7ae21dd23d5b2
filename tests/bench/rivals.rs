//! What others do for the same work: consul-template, `bao agent`, and two `bao write` with a HUP. None of them proves anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::lab::nginx::Nginx;
use crate::lab::openbao::{MOUNT, OpenBao, binary};
use crate::lab::{pki, place};

/// A directory with what the rivals need to log in.
pub struct Rivals<'a> {
    bao: &'a OpenBao,
    dir: PathBuf,
    token: String,
}

/// Where `peers.sh build` puts its programs.
fn peer(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("OMENS_PEERS").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/omens-peers")))?;
    Some(cache.join("bin").join(name)).filter(|p| p.is_file()).or_else(|| crate::lab::program(name))
}

impl<'a> Rivals<'a> {
    /// A role and a policy that let the server make keys, which is how they work.
    pub fn new(bao: &'a OpenBao) -> Self {
        let dir = place::on_disk(&place::directory("rivals"));
        place::make_private(&dir);
        let ec =
            json!({ "key_type": "ec", "key_bits": 256, "key_usage": ["DigitalSignature"], "allow_any_name": true, "client_flag": false });
        bao.role("rival", &[&ec]);
        let policy = format!(
            "path \"{MOUNT}/issue/rival\" {{ capabilities = [\"update\"] }}\npath \"auth/token/*\" {{ capabilities = [\"update\", \"read\"] }}"
        );
        bao.api("PUT", "sys/policies/acl/rival", Some(json!({ "policy": policy })));
        let (role_id, secret_id) = bao.approle("rival", &["rival"]);
        place::write_secret(&dir.join("role-id"), &role_id);
        place::write_secret(&dir.join("secret-id"), &secret_id);
        std::fs::write(dir.join("root.pem"), &bao.root.pem).expect("root");
        let token = bao.token("rival", &["rival"]);
        Self { bao, dir, token }
    }

    fn template(&self, name: &str, host: &str, reload: Option<&Path>) -> String {
        let exec = reload
            .map(|pid| format!("  exec {{ command = [\"sh\", \"-c\", \"kill -HUP $(cat {})\"] }}\n", pid.display()))
            .unwrap_or_default();
        format!(
            "template {{\n  contents = \"{{{{ with pkiCert \\\"{MOUNT}/issue/rival\\\" \\\"common_name={host}\\\" \\\"ttl=24h\\\" }}}}{{{{ .Cert }}}}{{{{ .CA }}}}\
             {{{{ .Key }}}}{{{{ end }}}}\"\n  destination = \"{}/{name}.pem\"\n  perms = \"0600\"\n{exec}}}\n",
            self.dir.display()
        )
    }

    /// `consul-template -once` over this many certificates; `None` where it is not built.
    pub fn consul_template(&self, set: &str, count: usize, reload: Option<&Path>) -> Option<Command> {
        let mut command = self.consul_template_serving(set, count, reload)?;
        command.arg("-once");
        Some(command)
    }

    /// The same without an end.
    pub fn consul_template_serving(&self, set: &str, count: usize, reload: Option<&Path>) -> Option<Command> {
        let program = peer("consul-template")?;
        let dir = self.dir.display();
        let mut text = format!(
            "vault {{\n  address = \"{}\"\n  token = \"{}\"\n  renew_token = false\n  ssl {{ enabled = true ca_cert = \"{dir}/root.pem\" }}\n}}\nlog_level = \"err\"\n",
            self.bao.address(),
            self.token
        );
        for n in 0..count {
            text.push_str(&self.template(&format!("{set}-{n}"), &format!("h{n}.{set}.funlab.casa"), reload));
        }
        let conf = self.dir.join(format!("{set}.hcl"));
        place::write_secret(&conf, &text);
        let mut command = Command::new(program);
        command.arg(format!("-config={}", conf.display()));
        Some(command)
    }

    /// `bao agent`, one certificate, one shot.
    pub fn agent(&self, reload: &Path) -> Command {
        self.agent_of("agent", true, &self.template("agent-0", "agent.funlab.casa", Some(reload)))
    }

    /// `bao agent` over this many certificates, without an end.
    pub fn agent_serving(&self, set: &str, count: usize) -> Command {
        let templates: String =
            (0..count).map(|n| self.template(&format!("{set}-{n}"), &format!("h{n}.{set}.funlab.casa"), None)).collect();
        self.agent_of(set, false, &templates)
    }

    fn agent_of(&self, name: &str, once: bool, templates: &str) -> Command {
        let dir = self.dir.display();
        let text = format!(
            "vault {{\n  address = \"{}\"\n  ca_cert = \"{dir}/root.pem\"\n}}\nexit_after_auth = {once}\nauto_auth {{\n  method \"approle\" {{\n    config = {{\n      \
             role_id_file_path = \"{dir}/role-id\"\n      secret_id_file_path = \"{dir}/secret-id\"\n      remove_secret_id_file_after_reading = false\n    }}\n  }}\n}}\n{templates}",
            self.bao.address()
        );
        let conf = self.dir.join(format!("{name}.hcl"));
        place::write_secret(&conf, &text);
        let mut command = Command::new(binary().expect("bao"));
        command.arg("agent").arg(format!("-config={}", conf.display())).args(["-log-level=error"]);
        command
    }

    /// Two `bao write`, files moved, HUP.
    pub fn by_hand(&self, pid: &Path) -> Command {
        let script = format!(
            "set -e; cd '{0}'; t=$('{1}' write -field=token auth/approle/login role_id=@role-id secret_id=@secret-id); \
             BAO_TOKEN=$t '{1}' write -format=json {MOUNT}/issue/rival common_name=hand.funlab.casa ttl=24h >hand.new; mv hand.new hand.json; \
             kill -HUP $(cat '{2}')",
            self.dir.display(),
            binary().expect("bao").display(),
            pid.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("BAO_ADDR", self.bao.address()).env("BAO_CACERT", self.dir.join("root.pem"));
        command
    }

    /// Takes away what a rival would find still good.
    pub fn forget(&self, set: &str, count: usize) {
        for n in 0..count {
            std::fs::remove_file(self.dir.join(format!("{set}-{n}.pem"))).ok();
        }
    }

    /// An nginx for them to signal.
    pub fn nginx(&self) -> Nginx {
        let mut nginx = Nginx::new(None);
        let (key, ca) = (pki::ec_key(), pki::Ca::root("made by hand", pki::CaKeys::Ec));
        let leaf = pki::Leaf::server("hand.funlab.casa", &["hand.funlab.casa"], &[], time::Duration::DAY);
        std::fs::write(self.dir.join("first.pem"), ca.leaf(&key, &leaf).pem()).expect("certificate");
        place::write_secret(&self.dir.join("first.key"), &key.serialize_pem());
        nginx.fixed("hand.funlab.casa", &self.dir.join("first.pem"), &self.dir.join("first.key"));
        nginx.start();
        nginx
    }
}
