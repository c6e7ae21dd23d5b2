//! How a file of certificates is written: encoding, debris, and what else lies in it. It must never judge a certificate.

use super::blocks::{Block, Body};
use super::lints;
use super::room::{about, is_go};
use super::shelf::Paper;
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::Consumer;
use crate::judge::lint::{self, Lint};
use crate::model::audit::Place;
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
pub(super) fn judge(paper: &Paper, consumer: &Consumer, meant: Meant, sheet: &mut Sheet) -> bool {
    let draft = |lint: &'static Lint, line: Option<u32>| at_line(about(lint, consumer, &paper.path), paper, line);
    let form = paper.content.form;
    if form.bom {
        let go = is_go(consumer.service);
        let severity = if go { Severity::High } else { Severity::Medium };
        sheet.add(
            draft(&lint::PEM_BOM, Some(1))
                .severity(severity)
                .expected("text that begins with a block")
                .found("U+FEFF")
                .breaks("go")
                .remedy("remove the first three bytes: Go skips the first block behind them"),
        );
    }
    if form.crlf {
        sheet
            .add(draft(&lint::PEM_CRLF, None).expected("lines that end in LF").found("CR LF").remedy("convert it: sed -i 's/\\r$//' FILE"));
    }
    if form.garbage > 0 && paper.content.certificates().next().is_some() {
        sheet.add(
            draft(&lint::PEM_GARBAGE, None)
                .severity(Severity::Info)
                .expected("blocks only")
                .found(format!("{} lines outside of any block", form.garbage)),
        );
    }
    if let Some(line) = form.glued {
        sheet.add(draft(&lints::PEM_GLUED, Some(line)).expected("each boundary on its own line").found("END and BEGIN on one line"));
    }
    if let Some(line) = form.indented {
        sheet.add(
            draft(&lints::PEM_INDENTED, Some(line))
                .expected("boundaries that begin their line")
                .found("white space before it")
                .breaks("openssl")
                .breaks("go"),
        );
    }
    if form.der && paper.content.certificates().next().is_some() {
        sheet.add(draft(&lints::CERTIFICATE_DER, None).expected("PEM").found("DER"));
    }
    for block in &paper.content.blocks {
        broken(block, meant, &draft, sheet);
    }
    present(paper, meant, &draft, sheet)
}

fn broken(block: &Block, meant: Meant, draft: &dyn Fn(&'static Lint, Option<u32>) -> Draft, sheet: &mut Sheet) {
    let Body::Broken(found) = &block.body else { return };
    if block.label.contains("CERTIFICATE") && !block.label.contains("REQUEST") {
        let lint = if meant == Meant::Trust { &lints::TRUST_BROKEN } else { &lints::CERTIFICATE_BROKEN };
        sheet.add(draft(lint, Some(block.line)).expected("a certificate in base64 between BEGIN and END").found(found));
    } else if !block.label.contains("PRIVATE KEY") && block.label != "DER" {
        sheet.add(draft(&lint::PEM_MALFORMED, Some(block.line)).severity(Severity::Low).expected("blocks that decode").found(found));
    }
}

/// What is there instead of a certificate.
fn present(paper: &Paper, meant: Meant, draft: &dyn Fn(&'static Lint, Option<u32>) -> Draft, sheet: &mut Sheet) -> bool {
    let content = &paper.content;
    if content.certificates().next().is_some() {
        return true;
    }
    let is_said = content.blocks.iter().any(|block| matches!(&block.body, Body::Broken(_)) && block.label.contains("CERTIFICATE"));
    if is_said {
        return false;
    }
    let found = match content.blocks.first().map(|block| &block.body) {
        None if content.form.empty => "an empty file".to_owned(),
        None => "no block at all".to_owned(),
        Some(Body::Request) => "a certificate signing request".to_owned(),
        Some(Body::Key(_)) => "a private key".to_owned(),
        Some(Body::Crl) => "a revocation list".to_owned(),
        Some(Body::Broken(why)) => why.clone(),
        Some(_) => content.blocks.first().map(|block| format!("a block {}", block.label)).unwrap_or_default(),
    };
    let lint = match meant {
        Meant::Trust => &lints::TRUST_EMPTY,
        Meant::Chain if content.form.empty => &lints::CERTIFICATE_EMPTY,
        Meant::Chain => &lints::CERTIFICATE_OTHER,
    };
    sheet.add(draft(lint, None).expected("a PEM certificate").found(found));
    false
}

/// Adds the line of the file itself.
pub(super) fn at_line(draft: Draft, paper: &Paper, line: Option<u32>) -> Draft {
    match line {
        Some(line) => draft.file(Place::line(&paper.path, line)),
        None => draft,
    }
}
