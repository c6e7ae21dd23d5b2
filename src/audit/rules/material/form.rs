//! How a file of certificates is written: encoding, debris, and what else lies in it.

use super::blocks::{Block, Body, Content};
use super::host::about;
use super::key::Key;
use super::lints;
use super::pem_cache::PemFile;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Consumer;
use crate::judge::lint::{self, Lint};
use crate::judge::pem;
use crate::model::audit::Location;
use crate::model::finding::Severity;

/// What a file is meant to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A leaf with its chain.
    Chain,
    /// Certificates that are trusted.
    Trust,
}

/// Judges the form of a file; whether it holds a certificate at all.
pub(super) fn judge(file: &PemFile, consumer: &Consumer, meant: Meant, findings: &mut HostFindings) -> bool {
    let draft = |lint: &'static Lint, line: Option<u32>| at_line(about(lint, consumer, &file.path), file, line);
    let form = file.content.form;
    if form.bom {
        let go = consumer.program.is_go();
        let severity = if go { Severity::High } else { Severity::Medium };
        findings.add(
            draft(&lint::PEM_BOM, Some(1))
                .severity(severity)
                .expected("text that begins with a block")
                .found("U+FEFF")
                .breaks("go")
                .remedy("remove the first three bytes: Go skips the first block behind them"),
        );
    }
    if form.crlf {
        findings
            .add(draft(&lint::PEM_CRLF, None).expected("lines that end in LF").found("CR LF").remedy("convert it: sed -i 's/\\r$//' FILE"));
    }
    if form.garbage > 0 && file.content.certificates().next().is_some() {
        findings.add(draft(&lint::PEM_GARBAGE, None).severity(Severity::Info).expected("blocks only").found(pem::outside(form.garbage)));
    }
    if form.der && file.content.certificates().next().is_some() {
        findings.add(draft(&lints::CERTIFICATE_DER, None).expected("PEM").found("DER"));
    }
    boundaries(file, consumer, findings);
    for block in &file.content.blocks {
        broken(block, meant, &draft, findings);
    }
    present(file, meant, &draft, findings)
}

/// Boundaries that OpenSSL does not see, of a certificate's file or of a key's.
pub(super) fn boundaries(file: &PemFile, consumer: &Consumer, findings: &mut HostFindings) {
    let draft = |lint: &'static Lint, line: Option<u32>| at_line(about(lint, consumer, &file.path), file, line);
    let form = file.content.form;
    if let Some(line) = form.glued {
        findings.add(draft(&lints::PEM_GLUED, Some(line)).expected("each boundary on its own line").found("END and BEGIN on one line"));
    }
    if let Some(line) = form.indented {
        findings.add(
            draft(&lints::PEM_INDENTED, Some(line))
                .expected("boundaries that begin their line")
                .found("white space before it")
                .breaks("openssl")
                .breaks("go"),
        );
    }
    if let Some(line) = form.gap {
        let found = draft(&lints::PEM_GAP, Some(line)).expected("base64 without empty lines").found("an empty line").breaks("openssl");
        let reads = consumer.program.is_go();
        findings.add(if reads { found.severity(Severity::Low) } else { found });
    }
    if let Some(line) = form.damaged {
        findings.add(
            draft(&lints::PEM_BOUNDARY, Some(line))
                .expected("five dashes at each end of BEGIN and END lines")
                .found("a boundary with fewer or more")
                .evidence("OpenSSL takes everything up to the next proper END for one block, so that the certificate behind it is not sent; Go sees the certificate behind it alone")
                .breaks("go"),
        );
    }
}

fn broken(block: &Block, meant: Meant, draft: &dyn Fn(&'static Lint, Option<u32>) -> NewFinding, findings: &mut HostFindings) {
    let Some((found, remedy)) = block.fault() else { return };
    let mended = |draft: NewFinding| if let Some(remedy) = remedy { draft.remedy(remedy) } else { draft };
    if block.label.contains("CERTIFICATE") && !block.label.contains("REQUEST") {
        let lint = if meant == Meant::Trust { &lints::TRUST_BROKEN } else { &lints::CERTIFICATE_BROKEN };
        findings.add(mended(draft(lint, Some(block.line)).expected("a certificate in base64 between BEGIN and END").found(found)));
    } else if !block.label.contains("PRIVATE KEY") && block.label != "DER" {
        let draft = draft(&lint::PEM_MALFORMED, Some(block.line)).severity(Severity::Low).expected("blocks that decode").found(found);
        findings.add(mended(draft.remedy("write the file again from its source, without the block that is damaged")));
    }
}

/// What is there instead of a certificate.
fn present(file: &PemFile, meant: Meant, draft: &dyn Fn(&'static Lint, Option<u32>) -> NewFinding, findings: &mut HostFindings) -> bool {
    let content = &file.content;
    if content.certificates().next().is_some() {
        return true;
    }
    let is_said = content.blocks.iter().any(|block| block.fault().is_some() && block.label.contains("CERTIFICATE"));
    if is_said {
        return false;
    }
    let lint = match meant {
        Meant::Trust => &lints::TRUST_EMPTY,
        Meant::Chain if content.form.empty => &lints::CERTIFICATE_EMPTY,
        Meant::Chain => &lints::CERTIFICATE_OTHER,
    };
    let draft = draft(lint, None).expected("a PEM certificate").found(instead(content));
    findings.add(match content.form.container {
        Some(container) => draft.remedy(container.conversion()),
        None => draft,
    });
    false
}

/// What a file without a certificate holds.
pub(super) fn instead(content: &Content) -> String {
    if let Some(container) = content.form.container {
        return container.words().to_owned();
    }
    let Some(first) = content.blocks.first() else {
        return if content.form.empty { "an empty file" } else { "no block at all" }.to_owned();
    };
    match &first.body {
        Body::Request => "a certificate signing request".to_owned(),
        Body::Key(Key::Encrypted) => "an encrypted private key".to_owned(),
        Body::Key(_) => "a private key".to_owned(),
        Body::Crl(_) => "a revocation list".to_owned(),
        Body::Broken(why) => why.clone(),
        Body::Flattened => pem::FLATTENED.to_owned(),
        _ => format!("a block {}", first.label),
    }
}

/// Adds the line of the file itself.
pub(super) fn at_line(draft: NewFinding, file: &PemFile, line: Option<u32>) -> NewFinding {
    match line {
        Some(line) => draft.file(Location::line(&file.path, line)),
        None => draft,
    }
}
