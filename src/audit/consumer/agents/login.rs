//! How an agent logs in: `auto_auth { method "cert" { config = { … } } }`.

use crate::audit::facts::hcl::Body;

/// The methods of OpenBao's agent, which refuses to start with any other ("unknown auth method"; asked of 2.7.2, command/agent.go).
const METHODS: [&str; 5] = ["approle", "cert", "jwt", "kubernetes", "token_file"];
/// Those that Vault's agent has besides (hashicorp/vault command/agentproxyshared/auth).
const OF_VAULT: [&str; 8] = ["alicloud", "aws", "azure", "cf", "gcp", "kerberos", "ldap", "oci"];

/// Which agents know a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// OpenBao's, and Vault's.
    Here,
    /// Vault's alone.
    ByVault,
    /// None.
    Nowhere,
}

/// One way to log in.
pub(super) struct Method<'a> {
    pub(super) name: String,
    pub(super) line: u32,
    body: &'a Body,
}

impl<'a> Method<'a> {
    /// All that a configuration names, in both ways to write one.
    pub(super) fn all(body: &'a Body) -> Vec<Self> {
        let Some((auth, _)) = body.bodies("auto_auth").last() else { return Vec::new() };
        let each = |(method, _): (&'a Body, u32)| match method.text("type") {
            Some((name, line)) => vec![Self { name, line, body: method }],
            None => method
                .items
                .iter()
                .flat_map(|item| item.value.bodies().into_iter().map(|body| Self { name: item.key.clone(), line: item.line, body }))
                .collect(),
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
