//! Driver `openbao`, for Vault alike: SIGHUP to the main process makes it read its listener's pair again; where the listener looks by itself
//! (`tls_auto_reload`), it is left alone and waited for. It must never be started anew: it would be sealed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::keys;
use super::life::Life;
use super::running::Running;
use super::runs::{By, Runs};
use super::served::Spot;
use super::unit;
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, Deployed, Done, DriverKind, Eyes, Question, Rank, Reply, Service, Shown};
use crate::config::shape::{Errors, Shape, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::{self, Ask};
use crate::io::read;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};

/// `{ openbao = { unit | pid | start, stop; address } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "openbao", table: &TABLE, parse, always: None };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver openbao",
    about: "The listener of OpenBao or Vault: SIGHUP, and never a start, after which it would be sealed.",
    keys: &[
        keys::UNIT,
        keys::PID,
        keys::START,
        keys::STOP,
        Key::optional(
            "address",
            Kind::Text("HOST:PORT"),
            "the first entry of `verify`",
            "\"127.0.0.1:8200\"",
            "Where it listens: it is seen there whether it serves the new certificate.",
        ),
    ],
};

/// What its program is called.
const PROGRAMS: &[&str] = &["bao", "openbao", "vault"];
/// OpenBao 2.7 looks at its files every 30 s.
const AUTO: Duration = Duration::from_secs(45);
/// More than any configuration of a server has.
const CONFIGURATION: u64 = 1024 * 1024;

#[derive(Debug)]
struct OpenBao {
    runs: Runs,
    address: Option<String>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Signal, PROGRAMS);
    let address = shape.optional("address", parsed(value::address));
    shape.finish();
    Some(Arc::new(OpenBao { runs: runs?, address: address? }))
}

impl OpenBao {
    async fn ask_it(&self, deployed: &[Deployed]) -> Result<Reply, Failure> {
        let first = deployed.first();
        let sealed = match first {
            Some(one) => self.is_sealed(one, &one.eyes).await,
            None => None,
        };
        let is_automatic = self.reloads_by_itself().await;
        if is_automatic {
            for one in deployed {
                let Some(spot) = Spot::of(self.address.as_deref(), one) else { continue };
                spot.serves(one, AUTO.max(spot.deadline)).await.map_err(|why| {
                    let text =
                        format!("tls_auto_reload is on, and within {} s the new pair was not taken up: {}", AUTO.as_secs(), why.text);
                    Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("OpenBao's log has a line where it refuses a pair")
                })?;
            }
        } else if self.runs.signal(Ask::Hup).await? == Reply::Stopped {
            return Ok(Reply::Stopped);
        }
        Ok(Reply::Done(Done { before: json!({ "sealed": sealed, "auto": is_automatic }), ..Done::default() }))
    }

    /// Whether it is sealed; `None` where it does not say.
    async fn is_sealed(&self, deployed: &Deployed, eyes: &Eyes) -> Option<bool> {
        let spot = Spot::of(self.address.as_deref(), deployed)?;
        let answer = spot.get("v1/sys/seal-status", eyes, None).await.ok()?;
        serde_json::from_slice::<Value>(&answer.body).ok()?.get("sealed")?.as_bool()
    }

    /// Whether every TLS listener of its configuration looks at its files by itself. What cannot be read is taken not to: SIGHUP does no harm.
    async fn reloads_by_itself(&self) -> bool {
        let arguments = match &self.runs {
            Runs::Unit(name) => {
                unit::command_line(name).await.map(|text| text.split_whitespace().map(ToOwned::to_owned).collect()).unwrap_or_default()
            }
            Runs::Process(_) => self.runs.main_pid().await.map(process::arguments).unwrap_or_default(),
        };
        let texts: Vec<String> = configurations(&arguments).iter().flat_map(|path| texts(path)).collect();
        is_automatic(&texts.join("\n"))
    }

    async fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let was_open = question.before.get("sealed").and_then(Value::as_bool) == Some(false);
        let was_started = Life::noted(question.before).is_some();
        let deployed = question.deployed;
        if was_started {
            self.runs.is_steady(question.before, &self.runs.name(KIND.name)).await?;
        }
        if !was_open && !was_started {
            return Ok(Shown::default());
        }
        let is_sealed = self.is_sealed(deployed, &deployed.eyes).await == Some(true);
        if was_open && is_sealed {
            let text = format!("{} was unsealed before it was asked to read its files, and is sealed now", self.runs.name(KIND.name));
            return Err(Failure::new(Stage::Verify, Code::SealedByReload, text).hint(
                "unseal it; it serves the new certificate, and the next run proves that. Somebody or something has started it anew",
            ));
        }
        let warning = is_sealed.then(|| started_sealed(&self.runs.name(KIND.name)));
        Ok(Shown { warnings: warning.into_iter().collect(), ..Shown::default() })
    }
}

/// It serves its certificate, and nothing else: to whoever reads `settled` that is not what it sounds like.
fn started_sealed(name: &str) -> Warning {
    Warning::new(
        Code::ServerSealed,
        format!("{name} did not run, was started, and is sealed: it serves its certificate and answers nothing"),
    )
    .hint("unseal it")
}

/// The files and directories of `-config`, as a command line names them.
fn configurations(arguments: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (at, word) in arguments.iter().enumerate() {
        let plain = word.trim_start_matches('-');
        match plain.strip_prefix("config=") {
            Some(path) => found.push(PathBuf::from(path)),
            None if plain == "config" && plain.len() < word.len() => found.extend(arguments.get(at + 1).map(PathBuf::from)),
            None => {}
        }
    }
    found
}

/// What a file holds, or the `.hcl` and `.json` files of a directory.
fn texts(path: &std::path::Path) -> Vec<String> {
    let files = match read::trusted_directory(path) {
        Ok(Some(entries)) => {
            entries.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "hcl" || kind == "json")).collect()
        }
        _ => vec![path.to_path_buf()],
    };
    files.iter().filter_map(|file| read::file(file, CONFIGURATION).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// Whether each listener with a certificate has `tls_auto_reload = true`, in HCL or JSON.
fn is_automatic(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.starts_with("//"));
    let plain: String =
        lines.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '"').map(|c| if c == ':' { '=' } else { c }).collect();
    let (listeners, automatic) = (plain.matches("tls_cert_file=").count(), plain.matches("tls_auto_reload=true").count());
    listeners > 0 && automatic >= listeners
}

impl Running for OpenBao {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(0);
    const BY: By = By::Signal;

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        vec![self.address.clone()]
    }

    fn take_up<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.ask_it(deployed).boxed()
    }

    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        self.look(question).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_looks_by_itself_is_told_from_one_that_does_not() {
        let listener = |more: &str| format!("listener \"tcp\" {{\n tls_cert_file = \"/c\"\n tls_key_file = \"/k\"\n{more}\n}}\n");
        let rows = [
            (listener(""), false),
            (listener("tls_auto_reload = true"), true),
            (listener("tls_auto_reload = \"true\""), true),
            (listener("tls_auto_reload = false"), false),
            (listener("# tls_auto_reload = true"), false),
            (listener("tls_auto_reload = true") + &listener(""), false),
            ("{\"listener\":[{\"tcp\":{\"tls_cert_file\":\"/c\",\"tls_auto_reload\": true}}]}".to_owned(), true),
            (String::new(), false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_automatic(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_configuration_is_where_the_command_line_says() {
        let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("bao server -config=/etc/openbao/server.hcl", vec!["/etc/openbao/server.hcl"]),
            ("bao server --config /a -config=/b", vec!["/a", "/b"]),
            ("ExecStart={ path=/usr/bin/bao ; argv[]=/usr/bin/bao server -config=/etc/bao ; ignore_errors=no", vec!["/etc/bao"]),
            ("bao server -dev", vec![]),
            ("bao config /x", vec![]),
        ] {
            assert_eq!(configurations(&words(line)), expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{line}");
        }
    }
}
