//! The key of a pair: there, readable by the service, and of a kind that it takes.

use super::super::blocks::Body;
use super::super::form::at_line;
use super::super::host::HostMaterial;
use super::super::key::Key;
use super::super::lints;
use super::super::pem_cache::PemFile;
use super::{Case, found};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;

pub(super) fn judge(host: &HostMaterial<'_>, case: &Case<'_>, findings: &mut HostFindings) {
    let Some(path) = &case.pair.key else { return };
    if path == &case.pair.certificate && !host.cache.get(path).is_some_and(Result::is_ok) {
        // Said of the certificate already.
        return;
    }
    let Some(file) = found(host, case, path, &lints::KEY_ABSENT, findings) else { return };
    let draft = |lint: &'static Lint, line| at_line(case.about(lint, path), file, line);
    let Some((key, line)) = file.content.keys().next() else {
        none(file, &draft, findings);
        return;
    };
    match key {
        Key::Encrypted if !case.pair.passphrase => {
            findings.add(
                draft(&lints::KEY_ENCRYPTED, Some(line))
                    .expected("a key that opens without anybody typing, or a configured pass phrase")
                    .found("an encrypted key"),
            );
        }
        Key::Damaged => findings.add(
            draft(&lints::KEY_DAMAGED, Some(line))
                .expected("a private key whose parts belong together")
                .found("one that does not parse, or does not fit together"),
        ),
        Key::Foreign(kind) => {
            findings.add(draft(&lints::KEY_NONE, Some(line)).expected("a key of PKCS#8, SEC 1 or PKCS#1, EC or RSA").found(kind))
        }
        Key::Public(_) | Key::Encrypted | Key::Sealed => {}
    }
}

fn none(file: &PemFile, draft: &dyn Fn(&'static Lint, Option<u32>) -> NewFinding, findings: &mut HostFindings) {
    let broken = file.content.blocks.iter().find_map(|block| match &block.body {
        Body::Broken(why) if block.label.contains("KEY") || block.label == "DER" => Some((why, block.line)),
        _ => None,
    });
    if let Some((why, line)) = broken {
        findings.add(draft(&lints::KEY_DAMAGED, Some(line)).expected("a private key in base64 between BEGIN and END").found(why));
        return;
    }
    let found = match file.content.blocks.first().map(|block| &block.body) {
        None if file.content.form.empty => "an empty file".to_owned(),
        None => "no PEM block".to_owned(),
        Some(Body::Certificate(_)) => "a certificate".to_owned(),
        Some(_) => file.content.blocks.iter().map(|block| block.label.as_str()).take(4).collect::<Vec<_>>().join(", "),
    };
    findings.add(draft(&lints::KEY_NONE, None).expected("a private key").found(found));
}
