//! What takes up a certificate, under which profile it is asked for and where it can be seen.

use std::time::Duration;

use serde::Serialize;

use super::Look;
use super::material::{CLIENT, Material, SERVER};
use super::plugins::{self, Plugin};
use crate::audit::consumer::systemd::told;
use crate::audit::facts::program::Program;
use crate::audit::facts::wiring::Wiring;
use crate::model::profile::Purpose;
use crate::model::span;

/// The longest lifetimes that the shipped profiles allow, which a test compares with them.
const LONGEST: [(&str, &str); 4] = [("keylime-agent", "168h"), ("mtls-client", "168h"), ("mtls-service", "168h"), ("tls-server", "720h")];
/// The shortest that settings take.
const SHORTEST: u64 = 60;
/// The usual one, where the present lifetime is none that a profile allows.
const USUAL: u64 = 24 * 3600;

/// A driver for `reload`, and the unit it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reload {
    /// Its key in the settings.
    pub driver: &'static str,
    /// The unit.
    pub unit: String,
    /// Whether such a unit was found; else it is what packages call it.
    pub found: bool,
    /// The plugin of the service that reads the pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Plugin>,
}

/// An entry of `verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// The name to ask for.
    pub server_name: String,
}

/// The programs that use these pairs, each once.
pub(super) fn programs(wiring: &Wiring, indexes: &[usize]) -> Vec<&'static Program> {
    let mut all: Vec<&'static Program> = Vec::new();
    for program in indexes.iter().filter_map(|index| wiring.pairs.get(*index)).map(|pair| pair.consumer.program) {
        if !all.contains(&program) {
            all.push(program);
        }
    }
    all
}

/// What the settings might call a certificate: after its program, and after its first label where there are several of a program.
pub(super) fn name(programs: &[&'static Program], pair: &Material) -> String {
    let names = pair.names();
    let program = programs.first().map_or("service", |program| program.name);
    let label = names.common_name.split('.').next().unwrap_or_default();
    let wish = if label.is_empty() { program.to_owned() } else { format!("{program}-{label}") };
    let plain: String = wish.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    let mut words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    words.dedup();
    words.join("-")
}

/// The shipped profile that asks for what this leaf has and for what it is used; `None` where it has a wildcard, which no shipped one allows.
pub(super) fn profile(wiring: &Wiring, programs: &[&'static Program], pair: &Material) -> Option<&'static str> {
    let names = pair.names();
    if names.common_name.starts_with("*.") || names.dns.iter().any(|name| name.starts_with("*.")) {
        return None;
    }
    let used = |end: fn(Purpose) -> bool| pair.indexes.iter().filter_map(|index| wiring.pairs.get(*index)).any(|pair| end(pair.purpose));
    let server = pair.is_for(SERVER) || used(Purpose::server);
    let client = pair.is_for(CLIENT) || used(Purpose::client);
    Some(match (server, client) {
        (true, true) => "mtls-service",
        (false, true) => "mtls-client",
        (true, false) if programs.iter().any(|program| program.name == "keylime_agent") => "keylime-agent",
        _ => "tls-server",
    })
}

/// The present lifetime, as far as the profile allows it.
pub(super) fn ttl(profile: Option<&str>, lifetime: u64) -> u64 {
    let longest = LONGEST.iter().find(|(name, _)| profile == Some(*name)).and_then(|(_, longest)| span::parse(longest).ok());
    let longest = longest.map_or(USUAL, |longest| longest.as_secs());
    // OpenBao dates a certificate back by 30 seconds; asked was a round figure.
    let rounded = if lifetime > 3600 { (lifetime + 60) / 300 * 300 } else { lifetime };
    if rounded < SHORTEST || rounded > longest { USUAL.min(longest) } else { rounded }
}

/// A length of time as the settings write it.
pub(super) fn shown(seconds: u64) -> String {
    span::show(Duration::from_secs(seconds))
}

/// What makes the programs that use this pair take up another one, as far as this build has drivers for them.
pub(super) fn reload(look: &Look<'_>, pair: &Material, programs: &[&'static Program]) -> Vec<Reload> {
    let known = |name: &str| look.drivers.iter().any(|kind| kind.name == name);
    let mut all = Vec::new();
    for program in programs {
        let Some(takes_up) = program.takes_up.as_ref().filter(|takes_up| known(takes_up.driver)) else { continue };
        let unit = told::unit_of(&look.told.units, takes_up.started_as);
        let found = unit.is_some();
        let unit = unit.unwrap_or_else(|| takes_up.usual_unit.to_owned());
        let reload = |plugin| Reload { driver: takes_up.driver, unit: unit.clone(), found, plugin };
        if takes_up.only_by_plugins {
            all.extend(plugins::of(look, pair, program).into_iter().map(|plugin| reload(Some(plugin))));
        } else {
            all.push(reload(None));
        }
    }
    all
}

/// The listeners that serve it, by names that it has.
pub(super) fn verify(wiring: &Wiring, pair: &Material) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = Vec::new();
    let serves = |index: &usize| wiring.pairs.get(*index).is_some_and(|pair| pair.purpose != Purpose::Client);
    for listener in wiring.listeners.iter().filter(|listener| listener.tls) {
        if !listener.pairs.iter().any(|index| pair.indexes.contains(index) && serves(index)) {
            continue;
        }
        let Some(server_name) = asked_for(&listener.names, pair) else { continue };
        let host = match listener.host.trim_matches(['[', ']']) {
            "" | "0.0.0.0" | "*" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        let endpoint = Endpoint { address: format!("{host}:{}", listener.port), server_name };
        if !all.iter().any(|known| known.address == endpoint.address) {
            all.push(endpoint);
        }
    }
    all
}

/// A name that the listener answers for and the leaf has; else any that the leaf has.
fn asked_for(answers: &[String], pair: &Material) -> Option<String> {
    let names = pair.names();
    let own = || std::iter::once(&names.common_name).chain(&names.dns).filter(|name| crate::model::request::is_host_name(name));
    let covers = |asked: &&String| {
        own().any(|own| {
            let under = own.strip_prefix("*.").zip(asked.split_once('.'));
            own.eq_ignore_ascii_case(asked) || under.is_some_and(|(domain, (_, rest))| domain.eq_ignore_ascii_case(rest))
        })
    };
    let answered = answers.iter().find(covers).cloned();
    answered.or_else(|| own().find(|name| !name.starts_with("*.")).cloned()).or_else(|| names.ip.first().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_stay_as_they_are_where_the_profile_allows_them() {
        for (profile, lifetime, expected) in [
            (Some("tls-server"), 86_430, "1d"),
            (Some("tls-server"), 604_830, "7d"),
            (Some("mtls-service"), 90 * 86_400, "1d"),
            (Some("mtls-service"), 10, "1d"),
            (Some("mtls-client"), 120, "2m"),
            (None, 90 * 86_400, "1d"),
        ] {
            assert_eq!(shown(ttl(profile, lifetime)), shown(span::parse(expected).unwrap().as_secs()), "{profile:?} {lifetime}");
        }
    }

    #[test]
    fn the_longest_lifetimes_are_those_of_the_shipped_profiles() {
        for (name, longest) in LONGEST {
            let profile = crate::config::profile(name, std::path::Path::new("/nonexistent")).unwrap();
            assert_eq!(profile.lifetime_max, span::parse(longest).unwrap(), "{name}");
        }
    }
}
