//! A file of certificates and keys taken apart: PEM blocks (RFC 7468) with their lines, or one DER value. Of a private key nothing is kept
//! but its public half. It must never judge.

use zeroize::Zeroizing;

use super::container::{self, Crl, Form};
pub(super) use super::decoded::{Block, Body, Known};
use super::decoded::{body, whole};
pub(super) use super::held::Cert;
use super::key::{self, Key};
use crate::judge::pem::{self, boundary};
use crate::model::text;

/// As many blocks of one file are looked at; the largest bundles of roots hold some hundreds.
const BLOCKS: usize = 4_000;

/// A file's blocks and its form.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// In the order of the file.
    pub(super) blocks: Vec<Block>,
    /// How it is written.
    pub(super) form: Form,
}

impl Content {
    /// Takes the bytes of a file apart.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self::read_with(bytes, &mut Known::new())
    }

    /// The same, where many files are read one after the other.
    pub(super) fn read_with(bytes: &[u8], known: &mut Known) -> Self {
        if bytes.first() == Some(&0x30) && !bytes.windows(10).take(4096).any(|window| window == b"-----BEGIN") {
            let form = Form { der: true, container: container::of_der(bytes), ..Form::default() };
            return Self { blocks: vec![whole(bytes, known)], form };
        }
        let lossy;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => {
                lossy = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
                lossy.as_str()
            }
        };
        if key::is_sealed_json(text) {
            return Self {
                blocks: vec![Block { label: "sealed key".to_owned(), line: 1, body: Body::Key(Key::Sealed), odd: false }],
                ..Self::default()
            };
        }
        let mut content = Self::read_text(text, known);
        content.form.container =
            container::of_text(bytes, text).filter(|_| content.certificates().next().is_none() && content.keys().next().is_none());
        content
    }

    fn read_text(text: &str, known: &mut Known) -> Self {
        let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (bom, crlf, empty) = (plain.len() != text.len(), plain.contains("\r\n"), plain.trim().is_empty());
        let mut content = Self { form: Form { bom, crlf, empty, ..Form::default() }, ..Self::default() };
        let mut open: Option<Open<'_>> = None;
        let mut offset = 0;
        for (line, number) in plain.split_inclusive('\n').zip(1_u32..) {
            let at = At { number, start: offset, end: offset + line.len() };
            offset = at.end;
            content.line(plain, line.trim_end(), at, &mut open, known);
            if content.blocks.len() >= BLOCKS {
                break;
            }
        }
        if let Some(open) = open {
            content.push(open, Body::Broken(format!("the file ends inside the block {}", open.label)));
        }
        content
    }

    fn line<'t>(&mut self, all: &'t str, line: &'t str, at: At, open: &mut Option<Open<'t>>, known: &mut Known) {
        let trimmed = line.trim_start().trim_start_matches('\u{feff}');
        let within = |block: &Open<'_>| all.get(block.body..at.start).unwrap_or_default();
        // Line ends written out as two characters are told of the whole file.
        if let Some(label) = pem::flattened(trimmed).filter(|_| !trimmed.contains("-----\\n")) {
            if let Some(block) = open.take() {
                self.push(block, Body::Broken(format!("a line that begins with \"-----BEGIN\" inside the block {}", block.label)));
            }
            self.push(Open { label, line: at.number, body: at.end, lost: false, odd: true }, Body::Flattened);
            return;
        }
        // Two files that were joined without a newline between them.
        if let Some((end, begin)) = trimmed.split_once("----------BEGIN ") {
            self.form.glued = self.form.glued.or(Some(at.number));
            if let Some(block) = open.take().filter(|_| end.starts_with("-----END ")) {
                self.push(Open { odd: true, ..block }, body(block.label, within(&block), known));
            }
            let label = begin.strip_suffix("-----").and_then(text::pem_label);
            *open = label.map(|label| Open { label, line: at.number, body: at.end, lost: false, odd: true });
            return;
        }
        let (begin, end) = (boundary(trimmed, "BEGIN"), boundary(trimmed, "END"));
        if begin.is_none() && end.is_none() && container::is_damaged_boundary(trimmed) {
            self.form.damaged = self.form.damaged.or(Some(at.number));
        }
        let odd = (begin.is_some() || end.is_some()) && trimmed.len() != line.len();
        if odd {
            self.form.indented = self.form.indented.or(Some(at.number));
        }
        let before = open.take().map(|block| Open { odd: block.odd || odd && begin.is_none(), ..block });
        match (before, begin, end) {
            // Its base64 ends at the first dash, whatever comes before the next proper END.
            (Some(before), Some(label), _) if within(&before).lines().any(|line| line.starts_with('-')) => {
                let own = within(&before).split('-').next().unwrap_or_default();
                // Of a key nothing is left then, whatever follows.
                let held = if label == before.label && !label.ends_with("PRIVATE KEY") {
                    body(before.label, own, known)
                } else {
                    Body::Broken(format!("BEGIN {} is closed by END {label}", before.label))
                };
                self.push(before, held);
                *open = Some(Open { label, line: at.number, body: at.end, lost: true, odd });
            }
            (before, Some(label), _) => {
                if let Some(before) = before {
                    self.push(before, Body::Broken(format!("BEGIN {label} inside the block {}", before.label)));
                }
                *open = Some(Open { label, line: at.number, body: at.end, lost: false, odd });
            }
            (Some(block), None, Some(_)) if block.lost => self.push(block, Body::Swallowed),
            (Some(block), None, Some(end)) if end == block.label => self.push(block, body(block.label, within(&block), known)),
            (Some(block), None, Some(end)) => self.push(block, Body::Broken(format!("BEGIN {} is closed by END {end}", block.label))),
            (Some(block), None, None) => {
                // An empty line behind headers, or before anything else, is what RFC 1421 asks for.
                let before = within(&block).trim();
                let gap = trimmed.is_empty() && !before.is_empty() && !before.contains(':');
                if gap {
                    self.form.gap = self.form.gap.or(Some(at.number));
                }
                *open = Some(Open { odd: block.odd || gap, ..block });
            }
            (None, None, _) => self.form.garbage += usize::from(!trimmed.is_empty()),
        }
    }

    fn push(&mut self, open: Open<'_>, body: Body) {
        self.blocks.push(Block { label: open.label.to_owned(), line: open.line, body, odd: open.odd });
    }

    /// The certificates, in their order.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (&Cert, u32)> {
        self.blocks.iter().filter_map(|block| match &block.body {
            Body::Certificate(cert) => Some((cert.as_ref(), block.line)),
            _ => None,
        })
    }

    /// The private keys, in their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&Key, u32)> {
        self.blocks.iter().filter_map(|block| match &block.body {
            Body::Key(key) => Some((key, block.line)),
            _ => None,
        })
    }

    /// The private keys that OpenSSL reads as they are written.
    pub(super) fn sound_keys(&self) -> impl Iterator<Item = &Key> {
        self.blocks.iter().filter(|block| !block.odd).filter_map(|block| if let Body::Key(key) = &block.body { Some(key) } else { None })
    }

    /// The revocation lists, in their order.
    pub(super) fn crls(&self) -> impl Iterator<Item = (&Crl, u32)> {
        self.blocks.iter().filter_map(|block| match &block.body {
            Body::Crl(crl) => Some((crl.as_ref(), block.line)),
            _ => None,
        })
    }

    /// Whether a private key lies in it that needs no more than the file to be used.
    pub(super) fn has_plain_key(&self) -> bool {
        self.keys().any(|(key, _)| key.is_plain())
    }
}

/// A line: its number, and where it begins and ends in the text.
#[derive(Clone, Copy)]
struct At {
    number: u32,
    start: usize,
    end: usize,
}

/// A block that was begun.
#[derive(Clone, Copy)]
struct Open<'t> {
    label: &'t str,
    line: u32,
    body: usize,
    /// Within a block that did not end.
    lost: bool,
    /// As of the block.
    odd: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::Pki;

    fn seen(content: &Content) -> Vec<(&str, u32)> {
        let word = |body: &Body| match body {
            Body::Certificate(_) => "certificate",
            Body::Key(_) => "key",
            Body::Request => "request",
            Body::Crl(_) => "crl",
            Body::Swallowed => "swallowed",
            Body::Other => "other",
            Body::Broken(_) => "broken",
            Body::Flattened => "flattened",
        };
        content.blocks.iter().map(|block| (word(&block.body), block.line)).collect()
    }

    #[test]
    fn whatever_surrounds_a_certificate_it_is_found_with_its_line() {
        let pki = Pki::new();
        let good = pem::write(&pki.leaf());
        let lines = u32::try_from(good.lines().count()).unwrap();
        let key = pki.key.serialize_pem();
        type Row<'a> = (&'a str, String, Vec<(&'a str, u32)>, Form);
        let rows: [Row<'_>; 12] = [
            ("plain", good.clone(), vec![("certificate", 1)], Form::default()),
            ("text before", format!("subject=x\n\n{good}"), vec![("certificate", 3)], Form { garbage: 1, ..Form::default() }),
            ("combined", format!("{good}{key}"), vec![("certificate", 1), ("key", lines + 1)], Form::default()),
            ("windows", good.replace('\n', "\r\n"), vec![("certificate", 1)], Form { crlf: true, ..Form::default() }),
            ("bom", format!("\u{feff}{good}"), vec![("certificate", 1)], Form { bom: true, ..Form::default() }),
            ("cut off", good[..good.len() - 40].to_owned(), vec![("broken", 1)], Form::default()),
            (
                "glued",
                format!("{}{good}", good.trim_end()),
                vec![("certificate", 1), ("certificate", lines)],
                Form { glued: Some(lines), ..Form::default() },
            ),
            (
                "indented",
                good.replace("-----BEGIN", "  -----BEGIN"),
                vec![("certificate", 1)],
                Form { indented: Some(1), ..Form::default() },
            ),
            (
                "four dashes",
                format!("{}{good}", good.replace("-----END", "----END")),
                vec![("certificate", 1), ("swallowed", lines + 1)],
                Form { damaged: Some(lines), ..Form::default() },
            ),
            ("empty", " \n".to_owned(), vec![], Form { empty: true, ..Form::default() }),
            (
                "an empty line",
                good.replacen("\n", "\n\n", 3).replacen("-----\n\n", "-----\n", 1),
                vec![("certificate", 1)],
                Form { gap: Some(3), ..Form::default() },
            ),
            (
                "begin in begin",
                format!("-----BEGIN CERTIFICATE-----\nAAAA\n{good}"),
                vec![("broken", 1), ("certificate", 3)],
                Form::default(),
            ),
        ];
        for (what, text, blocks, form) in rows {
            let content = Content::read(text.as_bytes());
            assert_eq!((seen(&content), content.form), (blocks, form), "{what}");
        }
        let der = Content::read(&pki.leaf());
        assert_eq!((seen(&der), der.form.der), (vec![("certificate", 1)], true));
        assert_eq!(seen(&Content::read(pki.key.serialized_der())), [("key", 1)]);
    }

    #[test]
    fn line_ends_that_are_written_out_or_lost_are_told_apart() {
        let good = pem::write(&Pki::new().leaf());
        let written_out = Content::read(good.replace('\n', "\\n").as_bytes());
        assert_eq!((seen(&written_out), written_out.form.container), (vec![], Some(container::Container::LiteralNewlines)));
        let lost = Content::read(good.replace('\n', "").as_bytes());
        assert_eq!((seen(&lost), lost.form.container), (vec![("flattened", 1)], None));
    }

    #[test]
    fn junk_is_broken_and_never_more() {
        for junk in [&b"0"[..], b"\x30\x80\xff", b"-----BEGIN ", b"-----BEGIN A----------BEGIN B-----\n-----END B-----", &[0xff; 64]] {
            let content = Content::read(junk);
            assert!(content.certificates().next().is_none() && content.keys().next().is_none(), "{junk:?}");
        }
    }
}
