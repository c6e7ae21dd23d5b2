//! The datastore: the pair and the roots by which the server speaks TLS with its database.

use super::plugin::Plugin;
use super::reader::SpireReader;
use crate::audit::facts::wiring::{Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// Reads them.
pub(super) fn read(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    if let Some(roots) = plugin.text("root_ca_path") {
        let consumer = reader.consumer(&plugin.spot("root_ca_path"));
        let files = vec![reader.path(&roots)];
        reader.wiring.trust(Trust { consumer, files, of: Purpose::Server, needs: Needs::Any, terms: Default::default() });
    }
    let Some(certificate) = plugin.text("client_cert_path") else { return };
    let pair = Pair::new(
        reader.consumer(&plugin.spot("client_cert_path")),
        reader.path(&certificate),
        plugin.text("client_key_path").map(|key| reader.path(&key)),
        Purpose::Client,
    );
    reader.wiring.pair(pair);
}
