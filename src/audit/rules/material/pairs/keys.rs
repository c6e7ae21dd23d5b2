//! The key of a pair: there, readable by the service, and of a kind that it takes.

use super::super::blocks::Body;
use super::super::form::{self, at_line};
use super::super::host::HostMaterial;
use super::super::key::Key;
use super::super::lints;
use super::super::pem_cache::PemFile;
use super::{Case, found};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::{Lint, PEM_BOM};
use crate::model::finding::Severity;

pub(super) fn judge(host: &HostMaterial<'_>, case: &Case<'_>, findings: &mut HostFindings) {
    let Some(path) = &case.pair.key else { return };
    if path == &case.pair.certificate && !host.cache.get(path).is_some_and(Result::is_ok) {
        // Said of the certificate already.
        return;
    }
    let Some(file) = found(host, case, path, &lints::KEY_ABSENT, findings) else { return };
    let draft = |lint: &'static Lint, line| at_line(case.about(lint, path), file, line);
    let program = case.pair.consumer.program;
    if file.content.form.bom && path != &case.pair.certificate {
        let severity = if program.is_go() { Severity::High } else { Severity::Medium };
        let found = draft(&PEM_BOM, Some(1)).severity(severity).expected("text that begins with a block").found("U+FEFF").breaks("go");
        let found = found.evidence("Go says \"decoded PEM is blank\"; OpenSSL before 3.0 does not see the block either");
        findings.add(found.remedy("remove the first three bytes of the key file"));
    }
    if path != &case.pair.certificate {
        form::boundaries(file, &case.pair.consumer, findings);
    }
    if file.content.form.der && file.content.keys().next().is_some() {
        findings.add(draft(&lints::KEY_DER, None).expected("PEM").found("DER").remedy(format!(
            "convert it: openssl pkey -inform der -in {0} -out {0}.pem, with mode 0600, and name that file",
            path.display()
        )));
        return;
    }
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
        Key::Unknown(kind) if program.is_go() => {
            findings.add(draft(&lints::KEY_GO, Some(line)).expected("a key of P-256, P-384, Ed25519 or RSA").found(kind))
        }
        Key::Unknown(kind) => findings.add(draft(&lints::KEY_KIND, Some(line)).expected("EC, RSA, Ed25519 or ML-DSA").found(kind)),
        Key::Foreign(kind) => {
            findings.add(draft(&lints::KEY_NONE, Some(line)).expected("a key of PKCS#8, SEC 1 or PKCS#1, EC or RSA").found(kind))
        }
        Key::Public(_) | Key::Encrypted | Key::Sealed => {}
    }
}

fn none(file: &PemFile, draft: &dyn Fn(&'static Lint, Option<u32>) -> NewFinding, findings: &mut HostFindings) {
    if let Some(container) = file.content.form.container {
        findings
            .add(draft(&lints::KEY_NONE, None).expected("a private key in PEM").found(container.words()).remedy(container.conversion()));
        return;
    }
    let keys = file.content.blocks.iter().filter(|block| block.label.contains("KEY") || ["DER", ""].contains(&block.label.as_str()));
    if let Some(((why, remedy), line)) = keys.filter_map(|block| Some((block.fault()?, block.line))).next() {
        let draft = draft(&lints::KEY_DAMAGED, Some(line)).expected("a private key in base64 between BEGIN and END").found(why);
        findings.add(if let Some(remedy) = remedy { draft.remedy(remedy) } else { draft });
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
