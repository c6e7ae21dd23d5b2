//! Secrets in texts that many may read: tokens of OpenBao and Vault, secret ids, private keys. It must never give back more of one than its
//! first four characters.

use super::shell::assignment;

/// How much of a secret is shown.
const SHOWN: usize = 4;
/// The shortest random part of a token.
const RANDOM: usize = 20;
/// Variables that hold a secret by their name.
const NAMES: &[&str] = &[
    "VAULT_TOKEN",
    "BAO_TOKEN",
    "OPENBAO_TOKEN",
    "ROOT_TOKEN",
    "VAULT_ROOT_TOKEN",
    "BAO_ROOT_TOKEN",
    "VAULT_DEV_ROOT_TOKEN_ID",
    "UNSEAL_KEY",
    "VAULT_UNSEAL_KEY",
    "BAO_UNSEAL_KEY",
];

/// A secret that stands in a text, in words that may be shown.
#[must_use]
pub fn find(text: &str) -> Option<String> {
    if text.contains("PRIVATE KEY-----") && text.contains("-----BEGIN") {
        return Some("a private key in PEM".to_owned());
    }
    prefixed(text).or_else(|| assigned(text)).or_else(|| header(text)).or_else(|| login(text))
}

/// What may be shown of a secret.
fn hint(secret: &str) -> String {
    let shown: String = secret.chars().take(SHOWN.min(secret.chars().count() / 2)).collect();
    format!("{shown}… ({} characters)", secret.chars().count())
}

/// `hvs.`, `hvb.`, `hvr.`, and the older `s.`, with enough behind it to be one (openbao-vault token formats).
fn prefixed(text: &str) -> Option<String> {
    for prefix in ["hvs.", "hvb.", "hvr.", "s.", "b."] {
        for (at, _) in text.match_indices(prefix) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/')) {
                continue;
            }
            let rest = text.get(at + prefix.len()..).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).unwrap_or(rest.len());
            let random = rest.get(..end).unwrap_or_default();
            // A short prefix may be any abbreviation: then the rest must look random.
            let mixed = random.bytes().any(|b| b.is_ascii_digit())
                && random.bytes().any(|b| b.is_ascii_uppercase())
                && random.bytes().any(|b| b.is_ascii_lowercase());
            if random.len() >= RANDOM && (prefix.len() > 2 || mixed) {
                return Some(format!("a token {}", hint(&format!("{prefix}{random}"))));
            }
        }
    }
    None
}

/// `VAULT_TOKEN=literal` and the like.
fn assigned(text: &str) -> Option<String> {
    for word in text.split([' ', '\t', ';', '&', '|', '(', ')']) {
        let word = word.trim_start_matches(['"', '\'', '-']);
        let Some((name, value)) = assignment(word) else { continue };
        let value = value.trim_matches(['"', '\'']);
        let upper = name.to_ascii_uppercase();
        let secret = NAMES.contains(&upper.as_str()) || upper == "SECRET_ID" || upper.ends_with("_SECRET_ID");
        if secret && is_literal(value) {
            return Some(format!("{name} with {}", hint(value)));
        }
    }
    None
}

/// `X-Vault-Token: literal`.
fn header(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (at, name) = ["x-vault-token", "x-bao-token"].iter().find_map(|name| lower.find(name).map(|at| (at, name)))?;
    let after = text.get(at + name.len()..)?;
    // In a program the name ends with a quote; then its value is a literal only in quotes of its own.
    let quoted = after.strip_prefix(['"', '\'']).map(|rest| rest.trim_start_matches([' ', ':', ',', '=']));
    if quoted.is_some_and(|value| !value.starts_with(['"', '\''])) {
        return None;
    }
    let rest = after.trim_start_matches(['"', '\'', ':', ' ', '=', ',']);
    let end = rest.find(['"', '\'', ' ', ',', ')', '}']).unwrap_or(rest.len());
    let value = rest.get(..end)?;
    is_literal(value).then(|| format!("{name} with {}", hint(value)))
}

/// `bao login literal`.
fn login(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.windows(2).position(
        |pair| matches!(pair, [program, "login"] if ["bao", "vault"].iter().any(|name| program.rsplit('/').next() == Some(*name))),
    )?;
    let last = words.iter().skip(at + 2).find(|word| !word.starts_with('-'))?;
    let value = last.strip_prefix("token=").unwrap_or(last).trim_matches(['"', '\'']);
    (is_literal(value) && !value.contains('=') && value.len() > 7).then(|| format!("login with {}", hint(value)))
}

/// No variable, no command, no file, no placeholder.
fn is_literal(value: &str) -> bool {
    const PLACEHOLDERS: &[&str] = &[
        "changeme",
        "change-me",
        "change_me",
        "token",
        "your",
        "xxx",
        "todo",
        "redacted",
        "example",
        "placeholder",
        "none",
        "null",
        "secret",
    ];
    let lower = value.to_ascii_lowercase();
    let made = value.contains(['$', '`', '<', '>', '{', '%', '*'])
        || value.starts_with(['/', '@', '~', '.'])
        || lower.starts_with("file:")
        || lower.starts_with("credential:");
    value.len() >= 4 && !made && !PLACEHOLDERS.iter().any(|word| lower.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_never_shown() {
        let token = "hvs.CAESIJlWh7gq0dT9vQqKx0n3examplE";
        for text in [
            format!("export VAULT_TOKEN={token}"),
            format!("curl -H \"X-Vault-Token: {token}\" https://x"),
            format!("bao login {token}"),
            format!("T='{token}'"),
            "BAO_TOKEN=\"root-token-1\"".to_owned(),
            "VAULT_TOKEN=s.Ab3dEfGhIjKlMnOpQrStUvWx".to_owned(),
            "bao write auth/approle/login role_id=x secret_id=5c2b9a3e-0000-4444-8888-123456789abc".to_owned(),
            "curl --header 'X-Vault-Token: myroot' https://x".to_owned(),
            "headers={\"X-Vault-Token\": \"myroot\"}".to_owned(),
            "-----BEGIN EC PRIVATE KEY-----".to_owned(),
        ] {
            let found = find(&text).unwrap_or_else(|| panic!("{text}"));
            assert!(
                !found.contains("CAESIJ") && !found.contains("dEfGh") && !found.contains("9a3e") && !found.contains("myroot"),
                "{found}"
            );
        }
    }

    #[test]
    fn what_reads_a_secret_from_elsewhere_is_none() {
        for text in [
            "export VAULT_TOKEN=$(cat /root/.vault-token)",
            "VAULT_TOKEN=\"${TOKEN}\"",
            "BAO_TOKEN=",
            "BAO_TOKEN=`cat x`",
            "VAULT_TOKEN=<token>",
            "VAULT_TOKEN=changeme",
            "curl -H \"X-Vault-Token: $VAULT_TOKEN\"",
            "bao login -method=cert",
            "bao login -method=approle role_id=$R secret_id=@/etc/x",
            "import os.path.somethingverylongindeedwithnothing",
            "ls.ABCdefGHIjklMNOpqr123STUvwx",
            "VAULT_TOKEN_FILE=/etc/token",
            "unset VAULT_TOKEN",
            "headers={\"X-Vault-Token\": vault_token}",
            "req.add_header('X-Vault-Token', secret_of_mine)",
            "grep -q 'BEGIN CERTIFICATE' x",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
