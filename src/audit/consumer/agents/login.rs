//! How an agent logs in: `auto_auth { method "cert" { config = { … } } }`.

use crate::audit::facts::hcl::{Body, Item};

/// The methods of OpenBao's agent, which refuses to start with any other ("unknown auth method"; asked of 2.7.2, command/agent.go).
const METHODS: [&str; 5] = ["approle", "cert", "jwt", "kubernetes", "token_file"];
/// Those that Vault's agent has besides (hashicorp/vault command/agentproxyshared/auth).
const OF_VAULT: [&str; 9] = ["alicloud", "aws", "azure", "cf", "gcp", "kerberos", "ldap", "oci", "pcf"];

/// What is said of a method beside its type; no method is called like that.
const SETTINGS: [&str; 8] = ["config", "mount_path", "namespace", "wrap_ttl", "min_backoff", "max_backoff", "exit_on_err", "type"];

/// Which agents know a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// OpenBao's, and Vault's.
    Here,
    /// Vault's alone.
    ByVault,
    /// None that is known here.
    Nowhere,
    /// It has no name: no agent starts with it.
    Unnamed,
}

/// One way to log in.
pub(super) struct Method<'a> {
    pub(super) name: String,
    pub(super) line: u32,
    body: &'a Body,
}

impl<'a> Method<'a> {
    /// All that a configuration names, in both ways to write one: a label counts in small letters, and a type before it (`parseMethod` of
    /// command/agent/config).
    pub(super) fn all(body: &'a Body) -> Vec<Self> {
        let Some((auth, _)) = body.bodies("auto_auth").last() else { return Vec::new() };
        let typed = |body: &'a Body| body.text("type").map(|(name, line)| Self { name, line, body });
        let each = |(method, line): (&'a Body, u32)| {
            let labelled = |item: &'a Item| {
                let name = item.key.to_ascii_lowercase();
                item.value
                    .bodies()
                    .into_iter()
                    .map(move |body| typed(body).unwrap_or_else(|| Self { name: name.clone(), line: item.line, body }))
            };
            let own = method.items.iter().any(|item| SETTINGS.contains(&item.key.as_str()));
            match typed(method) {
                Some(method) => vec![method],
                None if own => vec![Self { name: String::new(), line, body: method }],
                None => method.items.iter().flat_map(labelled).collect(),
            }
        };
        auth.bodies("method").flat_map(each).collect()
    }

    /// The one of a client certificate, if there is one.
    pub(super) fn certificate(body: &'a Body) -> Option<Self> {
        Self::all(body).into_iter().find(|method| method.name == "cert")
    }

    /// Its settings, which may stand in a body of their own.
    pub(super) fn config(&self) -> &'a Body {
        self.body.bodies("config").last().map_or(self.body, |(config, _)| config)
    }

    pub(super) fn known(&self) -> Known {
        if self.name.is_empty() {
            return Known::Unnamed;
        }
        let is_among = |names: &[&str]| names.contains(&self.name.as_str());
        match (is_among(&METHODS), is_among(&OF_VAULT)) {
            (true, _) => Known::Here,
            (false, true) => Known::ByVault,
            (false, false) => Known::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::facts::hcl;

    #[test]
    fn a_method_is_named_by_its_label_or_by_its_type() {
        for (text, expected) in [
            ("auto_auth { method \"aws\" { config = { role = \"x\" } } }", vec![("aws", 1, Known::ByVault)]),
            ("auto_auth {\n method {\n type = \"jwt\"\n config = { role = \"x\" }\n } }", vec![("jwt", 3, Known::Here)]),
            ("{\"auto_auth\": {\"method\": [{\"type\": \"userpass\", \"config\": {}}]}}", vec![("userpass", 1, Known::Nowhere)]),
            ("auto_auth { method \"cert\" {} }", vec![("cert", 1, Known::Here)]),
            ("auto_auth { method \"AppRole\" {} }", vec![("approle", 1, Known::Here)]),
            ("auto_auth { method \"x\" {\n type = \"cert\" } }", vec![("cert", 2, Known::Here)]),
            ("auto_auth {\n method { config = { role = \"x\" } } }", vec![("", 2, Known::Unnamed)]),
            ("auto_auth { method \"pcf\" {} }", vec![("pcf", 1, Known::ByVault)]),
            ("vault { address = \"x\" }", vec![]),
        ] {
            let (body, fault) = hcl::parse(text);
            assert_eq!(fault, None, "{text}");
            let found = Method::all(&body);
            let found: Vec<(&str, u32, Known)> = found.iter().map(|method| (method.name.as_str(), method.line, method.known())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
