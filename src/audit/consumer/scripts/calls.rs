//! Calls that scripts make: `bao` and `vault` by the variables of their environment, curl by its address. It must never take a guess for
//! an address: what is not known is left out.

use std::path::{Path, PathBuf};

use super::shell::{Command, assignment};
use super::variables::Variables;
use crate::audit::facts::address;
use crate::audit::facts::program::{Program, TlsStack};
use crate::audit::facts::wiring::{CallTerms, Connection, Consumer, Needs, Trust, Wiring};
use crate::model::audit::{Location, Target};
use crate::model::profile::Purpose;

/// The command line client of OpenBao and Vault.
static BAO: Program = Program { tls: TlsStack::Go, ..Program::named("bao") };
/// Built with OpenSSL or GnuTLS, and content with any certificate of its list.
static CURL: Program = Program::named("curl");

/// What a script calls, as it is read.
pub(super) struct Calls<'a> {
    target: &'a Target,
    path: &'a Path,
    pub(super) wiring: Wiring,
}

/// One call.
struct Call {
    program: &'static Program,
    url: String,
    ca: Option<String>,
    name: Option<String>,
    unchecked: bool,
    login: bool,
}

impl<'a> Calls<'a> {
    pub(super) fn new(target: &'a Target, path: &'a Path) -> Self {
        Self { target, path, wiring: Wiring::default() }
    }

    /// Takes in a command that may run.
    pub(super) fn command(&mut self, command: &Command, variables: &Variables, line: Option<u32>) {
        let call = match command.program() {
            "bao" | "vault" => bao(command, variables),
            "curl" => curl(command),
            _ => None,
        };
        let Some(call) = call.filter(|call| !call.url.contains(['$', '`', '{'])) else { return };
        let tls = call.url.starts_with("https://");
        let Some((host, port)) = address::of_url(&call.url) else { return };
        let location = Location { path: self.path.display().to_string(), line };
        let consumer = Consumer { program: call.program, target: self.target.clone().at_line(line), location };
        let ca = call.ca.filter(|ca| tls && !call.unchecked && ca.starts_with('/') && !ca.contains('$'));
        let trust = ca.map(|ca| self.trust(&consumer, PathBuf::from(ca)));
        let name = Some(call.name.unwrap_or_else(|| host.clone())).filter(|_| tls && !call.unchecked);
        let terms = CallTerms { login: call.login, ..CallTerms::default() };
        let connection = Connection { consumer, host, port, tls, name, trust, pair: None, terms };
        let same = |known: &Connection| Connection { consumer: connection.consumer.clone(), ..known.clone() } == connection;
        // A script says the same again and again.
        if !self.wiring.connections.iter().any(same) {
            self.wiring.connections.push(connection);
        }
    }

    fn trust(&mut self, consumer: &Consumer, file: PathBuf) -> usize {
        if let Some(known) = self.wiring.trusts.iter().position(|known| known.files == [file.clone()]) {
            return known;
        }
        let (consumer, files) = (consumer.clone(), vec![file]);
        self.wiring.trust(Trust { consumer, files, of: Purpose::Server, needs: Needs::Any, terms: Default::default() })
    }
}

/// Subcommands that ask no server.
const LOCAL: &[&str] = &["server", "agent", "proxy", "version", "-v", "-version", "--version", "-h", "-help", "--help"];

fn bao(command: &Command, variables: &Variables) -> Option<Call> {
    let words = command.words.get(command.main() + 1..)?;
    if words.is_empty() || words.first().is_some_and(|word| LOCAL.contains(&word.as_str())) || words.iter().any(|word| word == "-help") {
        return None;
    }
    let before = command.words.get(..command.main())?;
    let variable = |name: &str| {
        let of = |prefix: &str| {
            let name = format!("{prefix}_{name}");
            let own = before.iter().filter_map(|word| assignment(word)).find(|(own, _)| *own == name).map(|(_, value)| value.to_owned());
            own.or_else(|| variables.get(&name).map(str::to_owned))
        };
        of("BAO").or_else(|| of("VAULT")).map(|value| value.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let option = |name: &str| {
        let joined = words.iter().find_map(|word| word.trim_start_matches('-').strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
        joined.filter(|value| !value.is_empty())
    };
    let on = |value: &str| !matches!(value.to_ascii_lowercase().as_str(), "0" | "f" | "false");
    let unchecked = words.iter().any(|word| word.trim_start_matches('-') == "tls-skip-verify")
        || variable("SKIP_VERIFY").is_some_and(|value| on(&value));
    Some(Call {
        program: &BAO,
        url: option("address").or_else(|| variable("ADDR"))?,
        ca: option("ca-cert").or_else(|| variable("CACERT")),
        name: option("tls-server-name").or_else(|| variable("TLS_SERVER_NAME")),
        unchecked,
        login: words.iter().any(|word| word == "login") && words.iter().any(|word| word == "-method=cert"),
    })
}

fn curl(command: &Command) -> Option<Call> {
    const ELSEWHERE: &[&str] = &["--resolve", "--connect-to", "-x", "--proxy", "--unix-socket", "--abstract-unix-socket", "--interface"];
    let words = command.words.get(command.main() + 1..)?;
    if words.iter().any(|word| ELSEWHERE.contains(&word.as_str())) {
        return None;
    }
    let url = words.iter().find(|word| word.starts_with("https://") || word.starts_with("http://"))?;
    let after = |option: &str| words.iter().skip_while(|word| *word != option).nth(1).cloned();
    let short = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('k');
    let unchecked = words.iter().any(|word| word == "--insecure" || short(word));
    Some(Call { program: &CURL, url: url.clone(), ca: after("--cacert"), name: None, unchecked, login: false })
}

#[cfg(test)]
mod tests {
    use super::super::shell;
    use super::*;

    fn called(text: &str) -> Vec<String> {
        let mut variables = Variables::default();
        let (target, path) = (Target::new("script", "/s"), Path::new("/s"));
        let mut calls = Calls::new(&target, path);
        for line in shell::lines(text) {
            variables.learn(&line.text);
            for command in shell::commands(&variables.expand(&line.text)) {
                calls.command(&command, &variables, Some(line.number));
            }
        }
        let wiring = calls.wiring;
        let ca = |trust: Option<usize>| trust.map_or_else(String::new, |trust| format!(" by {}", wiring.trusts[trust].files[0].display()));
        let shown = |one: &Connection| {
            format!("{}:{} {} {}{}", one.host, one.port, one.tls, one.name.as_deref().unwrap_or("unchecked"), ca(one.trust))
        };
        wiring.connections.iter().map(shown).collect()
    }

    #[test]
    fn calls_are_read_as_far_as_they_are_known() {
        for (text, expected) in [
            (
                "export BAO_ADDR=https://127.0.0.1:8200 BAO_CACERT=/r.pem\nbao read x\nbao write y",
                vec!["127.0.0.1:8200 true 127.0.0.1 by /r.pem"],
            ),
            ("VAULT_ADDR=http://a:8200 vault read x", vec!["a:8200 false unchecked"]),
            ("bao read -address=https://a:1 -tls-server-name=b x", vec!["a:1 true b"]),
            ("BAO_ADDR=https://a:1\nBAO_SKIP_VERIFY=1 bao read x", vec!["a:1 true unchecked"]),
            ("BAO_ADDR=$1\nbao read x\nbao server", vec![]),
            ("bao read x", vec![]),
            ("curl --cacert /r.pem -fsS https://a/v1/x", vec!["a:443 true a by /r.pem"]),
            ("curl -sk https://a:8443/", vec!["a:8443 true unchecked"]),
            ("curl --resolve a:443:127.0.0.1 https://a/", vec![]),
        ] {
            assert_eq!(called(text), expected, "{text}");
        }
    }
}
