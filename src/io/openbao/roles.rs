//! The roles of a mount, as far as a login may list them.

use serde_json::Value;

use super::{Grant, Server};

/// All of them; `None` where the login may not list them.
pub async fn known_roles(server: &Server, mount: &str, grant: &Grant) -> Option<Vec<String>> {
    let seen = server.read(&format!("{mount}/roles?list=true"), Some(grant)).await.ok()??;
    let keys = seen.get("keys")?.as_array()?;
    Some(keys.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}
