//! A plugin of SPIRE that reads certificates: its data file, which is a file of each generation, and how SPIRE says that it has read one.
//! SPIRE configures a plugin again at SIGUSR1 where the bytes of `plugin_data_file` have changed, so the file names the paths of one generation.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Map, Number, Value as Json, json};

use super::keys;
use crate::config::service::{ANCHORS, Deployed, Done, Rendered, Rendering, Reply};
use crate::config::shape::{Errors, Shape, Wrong, one_of, parsed, quoted};
use crate::config::tree::{Node, Value};
use crate::io::process::Ask;
use crate::judge::pem;
use crate::model::anchor::{Fingerprint, hex};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::{layout, text};

use super::log::Log;
use super::runs::Runs;

/// How long SPIRE may take to say what it did with a signal; it takes 50 ms.
const ANSWER: Duration = Duration::from_secs(10);
/// Where it has said nothing at all by then, it does not log what it did.
const SILENCE: Duration = Duration::from_secs(5);
/// How it marks lines of the level that tells of signals, in both of its formats.
const INFO: [&str; 2] = ["level=info", "\"level\":\"info\""];
/// Between two looks at its log.
const PAUSE: Duration = Duration::from_millis(150);
/// Hexadecimal digits of the SHA-512 of a data file that SPIRE logs.
const HASH: usize = 32;
/// Hexadecimal digits of the SHA-256 of roots that the blanks behind a data file tell.
const BLANKS: usize = 16;

/// `plugin = { kind, name, cert, key, ca, data }`.
#[derive(Clone, Debug)]
pub(super) struct Plugin {
    kind: &'static str,
    name: String,
    /// Options of the plugin that name the certificate with its intermediates, its key and the roots; dots lead into a block.
    cert: String,
    key: String,
    ca: Option<String>,
    /// Its other options.
    data: Map<String, Json>,
}

impl Plugin {
    pub(super) fn parse(node: &Node, errors: &Errors) -> Option<Self> {
        let shape = Shape::of(&keys::PLUGIN_TABLE, node, errors)?;
        let kind = shape.required("kind", one_of(&keys::KINDS.map(|kind| (kind, kind))));
        let name = shape.required("name", parsed(word));
        let (cert, key) = (shape.required("cert", parsed(option)), shape.required("key", parsed(option)));
        let ca = shape.optional("ca", parsed(option));
        let data = shape.or("data", Map::new(), |node, errors| match json_of(node, errors)? {
            Json::Object(map) => Some(map),
            _ => {
                errors.at(&node.place, Wrong::new(Code::WrongType, "expected a table of the plugin's other options"));
                None
            }
        });
        shape.finish();
        Some(Self { kind: kind?, name: name?, cert: cert?, key: key?, ca: ca?, data: data? })
    }

    /// What tells it from others.
    pub(super) fn shown(&self) -> String {
        format!("{} {} {} {} {:?} {}", self.kind, self.name, self.cert, self.key, self.ca, json!(self.data))
    }

    /// `KIND "NAME"`.
    pub(super) fn named(&self) -> String {
        format!("{} \"{}\"", self.kind, self.name)
    }

    fn file_name(&self) -> String {
        layout::spire_data(self.kind, &self.name)
    }

    /// Its files in a generation.
    pub(super) fn files(&self, rendering: &Rendering<'_>) -> Vec<Rendered> {
        let mut files = vec![Rendered { name: self.file_name(), bytes: self.bytes(rendering.directory, rendering.anchors) }];
        if self.ca.is_some() {
            files.push(Rendered { name: ANCHORS.to_owned(), bytes: (rendering.anchors)().into_bytes() });
        }
        files
    }

    fn bytes(&self, generation: &Path, anchors: &dyn Fn() -> String) -> Vec<u8> {
        let mut all = self.data.clone();
        let path = |file: &str| json!(generation.join(file));
        set(&mut all, &self.cert, path(layout::FULLCHAIN));
        set(&mut all, &self.key, path(layout::KEY));
        if let Some(ca) = &self.ca {
            set(&mut all, ca, path(ANCHORS));
        }
        // SPIRE configures a plugin again only where these bytes have changed: other roots in the same generation have to change them too.
        let told = if self.ca.is_some() { blanks(&anchors()) } else { String::new() };
        format!("{:#}\n{told}", Json::Object(all)).into_bytes()
    }

    /// The hash that SPIRE logs of the data file of a generation.
    pub(super) fn hash(&self, deployed: &Deployed) -> String {
        let anchors = || deployed.eyes.roots.iter().map(|root| pem::write(root)).collect();
        self.hash_of(&deployed.directory, &anchors)
    }

    fn hash_of(&self, generation: &Path, anchors: &dyn Fn() -> String) -> String {
        let digest = digest::digest(&digest::SHA512, &self.bytes(generation, anchors));
        hex(digest.as_ref()).chars().take(HASH).collect()
    }

    /// Whether a line of SPIRE's log is about this plugin, in either of its formats.
    fn is_told_by(&self, line: &str) -> bool {
        let has = |key: &str, value: &str| {
            [format!("{key}={value}"), format!("{key}=\"{value}\""), format!("\"{key}\":\"{value}\"")].iter().any(|told| {
                line.match_indices(told.as_str()).any(|(at, _)| {
                    line.get(at + told.len()..).is_none_or(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
                })
            })
        };
        has("plugin_name", &self.name) && has("plugin_type", self.kind)
    }

    /// What SPIRE said about this plugin.
    fn said(&self, lines: &str, hash: &str) -> Said {
        let mut signalled = false;
        for line in lines.lines() {
            signalled |= line.contains("Reconfigure signal received");
            if !self.is_told_by(line) {
                continue;
            }
            if line.contains("Failed to reconfigure plugin") {
                return Said::Failed(text::one_line(line, 400));
            }
            if line.contains("Plugin reconfigured") || line.contains("Plugin not reconfigured since the config is unchanged") {
                return if line.contains(hash) { Said::Read } else { Said::Other(text::one_line(line, 300)) };
            }
        }
        if signalled { Said::Signalled } else { Said::Nothing }
    }
}

/// A line of blanks that tells one text from another, and says nothing in JSON.
fn blanks(text: &str) -> String {
    let print = Fingerprint::of(text.as_bytes());
    let bits = print.as_str().chars().take(BLANKS).filter_map(|digit| digit.to_digit(16));
    let blanks: String = bits.flat_map(|digit| (0..4).map(move |bit| if digit >> bit & 1 == 1 { '\t' } else { ' ' })).collect();
    blanks + "\n"
}

/// What SPIRE said after a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// The plugin was not configured with the new data; it goes on with the old.
    Failed(String),
    /// Nothing at all.
    Nothing,
    /// It has read another file than ours.
    Other(String),
    /// It has read our file.
    Read,
    /// Only that the signal came.
    Signalled,
}

/// Sends SIGUSR1 and waits for what SPIRE says of the plugin, whose data file is to have this hash.
///
/// # Errors
/// Stage `reload`: the signal cannot be sent, or the plugin was not configured with the new file.
pub(super) async fn reconfigure(runs: &Runs, plugin: &Plugin, log: Option<&Path>, hash: &str, clock: Clock) -> Result<Reply, Failure> {
    let end = Log::end(log, runs).await;
    if runs.signal(Ask::Usr1).await? == Reply::Stopped {
        return Ok(Reply::Stopped);
    }
    let begin = clock.instant();
    let mut is_sent_again = false;
    let refused = |text: String| Failure::new(Stage::Reload, Code::ReloadFailed, text);
    loop {
        let said = plugin.said(&end.lines().await, hash);
        let waited = clock.instant().saturating_duration_since(begin);
        let named = plugin.named();
        match said {
            Said::Read => return Ok(Reply::Done(Done { warnings: Vec::new(), before: json!({ "read": hash }) })),
            Said::Failed(line) => {
                return Err(refused(format!("SPIRE did not configure {named} with its new data: {line}"))
                    .hint("it goes on with the old ones; its log says why"));
            }
            Said::Other(line) => {
                let hint = format!("let plugin_data_file of that plugin name {} beside `live` in the run directory", plugin.file_name());
                return Err(refused(format!("SPIRE read another data file for {named}: expected the hash {hash}: {line}")).hint(hint));
            }
            Said::Signalled if waited >= ANSWER => {
                let hint = format!(
                    "plugin_data is read at start only: let plugin_data_file of that plugin name {} in the run directory",
                    plugin.file_name()
                );
                return Err(refused(format!("SPIRE took the signal and says nothing of {named}: it has no data file")).hint(hint));
            }
            // One that was just started may not have been listening yet.
            Said::Nothing if waited >= SILENCE / 2 && !is_sent_again => {
                is_sent_again = true;
                if runs.signal(Ask::Usr1).await? == Reply::Stopped {
                    return Ok(Reply::Stopped);
                }
            }
            Said::Nothing if waited >= SILENCE && end.has_said(&INFO).await => {
                let text = format!("SPIRE logs what it does, and nothing of SIGUSR1 after {waited:.0?}: {named} has its old data");
                return Err(refused(text).hint("does it hang? its log and `systemctl status` say more"));
            }
            Said::Nothing if waited >= SILENCE || matches!(end, Log::Unseen(_)) => return Ok(unseen(&end, &named, hash)),
            Said::Signalled | Said::Nothing => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// The signal was sent, and nobody can tell what came of it.
fn unseen(log: &Log, named: &str, hash: &str) -> Reply {
    let why = if let Log::Unseen(why) = log { why.as_str() } else { "its log holds nothing about the signal: is log_level above info?" };
    let warning = Warning::new(Code::NotObservable, format!("whether SPIRE has configured {named} anew cannot be seen: {why}"));
    Reply::Done(Done { warnings: vec![warning], before: json!({ "sent": hash }) })
}

/// Sets an option, inside of the blocks that its dots lead through.
fn set(all: &mut Map<String, Json>, option: &str, value: Json) {
    match option.split_once('.') {
        None => drop(all.insert(option.to_owned(), value)),
        Some((block, rest)) => {
            let inner = all.entry(block).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Some(inner) = inner.as_object_mut() {
                set(inner, rest, value);
            }
        }
    }
}

/// A name that can be a part of a file's.
fn word(text: &str) -> Result<String, Wrong> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && !text.starts_with('.');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::value(format!("expected the name of a plugin, found {}", quoted(text))).suggest("write it as in SPIRE's own configuration")
    })
}

/// The name of an option, in blocks that dots lead through.
fn option(text: &str) -> Result<String, Wrong> {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let fits = text.split('.').all(part);
    fits.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::value(format!("expected the name of an option, found {}", quoted(text)))
            .suggest("write it like \"keylime_tls_cert_file\", or \"BLOCK.NAME\"")
    })
}

/// A value of the settings as JSON.
fn json_of(node: &Node, errors: &Errors) -> Option<Json> {
    match &node.value {
        Value::Text(text) => Some(json!(text)),
        Value::Bool(value) => Some(json!(value)),
        Value::Array(items) => items.iter().map(|item| json_of(item, errors)).collect::<Option<Vec<_>>>().map(Json::Array),
        Value::Table(entries) => entries
            .iter()
            .map(|entry| Some((entry.key.clone(), json_of(&entry.node, errors)?)))
            .collect::<Option<Map<_, _>>>()
            .map(Json::Object),
        Value::Other { raw, .. } => match raw.replace('_', "").parse::<Number>() {
            Ok(number) => Some(Json::Number(number)),
            Err(_) => {
                errors.at(
                    &node.place,
                    Wrong::value(format!("expected a string, a number or a boolean, found {}", quoted(raw))).suggest("write it in quotes"),
                );
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Plugin {
        let data = serde_json::from_str("{\"keylime_verifier_host\": \"127.0.0.1\"}").unwrap();
        Plugin { kind: "NodeAttestor", name: "keylime".into(), cert: "tls.cert".into(), key: "tls.key".into(), ca: Some("ca".into()), data }
    }

    #[test]
    fn the_data_file_names_one_generation_and_dots_lead_into_blocks() {
        let rendering = Rendering { directory: Path::new("/run/omens/spire/gen-7"), anchors: &|| "PEM".to_owned() };
        let [data, anchors] = <[Rendered; 2]>::try_from(plugin().files(&rendering)).unwrap();
        assert_eq!((data.name.as_str(), anchors.name.as_str()), ("spire-NodeAttestor-keylime.json", "anchors.pem"));
        let found: Json = serde_json::from_slice(&data.bytes).unwrap();
        let gen7 = |file: &str| format!("/run/omens/spire/gen-7/{file}");
        let expected = json!({
            "keylime_verifier_host": "127.0.0.1", "ca": gen7("anchors.pem"),
            "tls": { "cert": gen7("fullchain.pem"), "key": gen7("key.pem") }
        });
        assert_eq!(found, expected);
        let hash = |generation: &str, anchors: &str| plugin().hash_of(Path::new(generation), &|| anchors.to_owned());
        let gen7 = hash("/run/omens/spire/gen-7", "PEM");
        assert_ne!(gen7, hash("/run/omens/spire/gen-8", "PEM"));
        assert_ne!(gen7, hash("/run/omens/spire/gen-7", "PEM PEM"), "SPIRE reads other roots only where the data changed");
    }

    #[test]
    fn what_the_log_says_of_this_plugin_counts_and_nothing_else() {
        let plugin = plugin();
        let text = "plugin_name=keylime plugin_type=NodeAttestor";
        let said = |lines: &str| plugin.said(lines, "abcd");
        let rows = [
            (String::new(), Said::Nothing),
            ("level=info msg=\"Reconfigure signal received\"".to_owned(), Said::Signalled),
            (format!("msg=\"Plugin reconfigured\" new_hash=abcd old_hash=1 {text}"), Said::Read),
            (format!("msg=\"Plugin not reconfigured since the config is unchanged\" hash=abcd {text}"), Said::Read),
            (
                "{\"msg\":\"Plugin reconfigured\",\"new_hash\":\"abcd\",\"plugin_name\":\"keylime\",\"plugin_type\":\"NodeAttestor\"}"
                    .to_owned(),
                Said::Read,
            ),
            ("msg=\"Plugin reconfigured\" new_hash=abcd plugin_name=keylime2 plugin_type=NodeAttestor".to_owned(), Said::Nothing),
            ("msg=\"Plugin reconfigured\" new_hash=abcd plugin_name=keylime plugin_type=KeyManager".to_owned(), Said::Nothing),
        ];
        for (lines, expected) in rows {
            assert_eq!(said(&lines), expected, "{lines}");
        }
        assert!(matches!(said(&format!("msg=\"Failed to reconfigure plugin\" error=\"no\" {text}")), Said::Failed(_)));
        assert!(matches!(said(&format!("msg=\"Plugin reconfigured\" new_hash=ffff {text}")), Said::Other(_)));
    }
}
