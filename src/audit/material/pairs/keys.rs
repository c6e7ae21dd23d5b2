//! The key of a pair: there, readable by the service, and of a kind that it takes. It must never say anything of its content.

use super::super::blocks::Body;
use super::super::form::at_line;
use super::super::key::Key;
use super::super::lints;
use super::super::room::Room;
use super::super::shelf::Paper;
use super::{Case, found};
use crate::audit::sheet::{Draft, Sheet};
use crate::judge::lint::Lint;

pub(super) fn judge(room: &Room<'_>, case: &Case<'_>, sheet: &mut Sheet) {
    let Some(path) = &case.pair.key else { return };
    if path == &case.pair.certificate && !room.shelf.get(path).is_some_and(Result::is_ok) {
        // Said of the certificate already.
        return;
    }
    let Some(paper) = found(room, case, path, &lints::KEY_ABSENT, sheet) else { return };
    let draft = |lint: &'static Lint, line| at_line(case.about(lint, path), paper, line);
    let Some((key, line)) = paper.content.keys().next() else {
        none(paper, &draft, sheet);
        return;
    };
    match key {
        Key::Encrypted if !case.pair.passphrase => {
            sheet.add(
                draft(&lints::KEY_ENCRYPTED, Some(line))
                    .expected("a key that opens without anybody typing, or a configured pass phrase")
                    .found("an encrypted key"),
            );
        }
        Key::Damaged => sheet.add(
            draft(&lints::KEY_DAMAGED, Some(line))
                .expected("a private key whose parts belong together")
                .found("one that does not parse, or does not fit together"),
        ),
        Key::Foreign(kind) => {
            sheet.add(draft(&lints::KEY_NONE, Some(line)).expected("a key of PKCS#8, SEC 1 or PKCS#1, EC or RSA").found(kind))
        }
        Key::Public(_) | Key::Encrypted | Key::Sealed => {}
    }
}

fn none(paper: &Paper, draft: &dyn Fn(&'static Lint, Option<u32>) -> Draft, sheet: &mut Sheet) {
    let broken = paper.content.blocks.iter().find_map(|block| match &block.body {
        Body::Broken(why) if block.label.contains("KEY") || block.label == "DER" => Some((why, block.line)),
        _ => None,
    });
    if let Some((why, line)) = broken {
        sheet.add(draft(&lints::KEY_DAMAGED, Some(line)).expected("a private key in base64 between BEGIN and END").found(why));
        return;
    }
    let found = match paper.content.blocks.first().map(|block| &block.body) {
        None if paper.content.form.empty => "an empty file".to_owned(),
        None => "no PEM block".to_owned(),
        Some(Body::Certificate(_)) => "a certificate".to_owned(),
        Some(_) => paper.content.blocks.iter().map(|block| block.label.as_str()).take(4).collect::<Vec<_>>().join(", "),
    };
    sheet.add(draft(&lints::KEY_NONE, None).expected("a private key").found(found));
}
