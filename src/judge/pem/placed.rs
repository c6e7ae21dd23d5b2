//! The blocks of one label with the lines where they begin, for who has to say which of them is bad.

use rustls::pki_types::pem::{PemObject, SectionKind};

use super::boundary;

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The line of its `BEGIN`, counted from 1.
    pub line: u32,
    /// What it holds; of one that does not decode its `BEGIN` line, which is no DER of anything.
    pub der: Vec<u8>,
}

/// The blocks of this label, whole or not, in their order. Blocks of other labels are never decoded.
#[must_use]
pub fn placed(text: &str, label: &str) -> Vec<Placed> {
    let mut all = Vec::new();
    let mut open: Option<Open> = None;
    for (line, number) in text.trim_start_matches('\u{feff}').lines().map(str::trim).zip(1_u32..) {
        if let Some(begun) = boundary(line, "BEGIN") {
            all.extend(open.take().map(Open::close));
            open = (begun == label).then(|| Open { line: number, text: String::new() });
        }
        let ends = boundary(line, "END").is_some();
        if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
        if ends {
            all.extend(open.take().map(Open::close));
        }
    }
    all.extend(open.map(Open::close));
    all
}

/// A block that was begun.
struct Open {
    line: u32,
    text: String,
}

impl Open {
    fn close(self) -> Placed {
        let decoded: Result<(SectionKind, Vec<u8>), _> = PemObject::from_pem_slice(self.text.as_bytes());
        let first = || self.text.lines().next().unwrap_or_default().as_bytes().to_vec();
        Placed { line: self.line, der: decoded.map_or_else(|_| first(), |(_, der)| der) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::Pki;
    use crate::judge::pem::write;

    #[test]
    fn every_block_of_the_label_has_its_line_and_what_does_not_decode_is_kept_as_no_der() {
        let der = Pki::new().leaf();
        let good = write(&der);
        let lines = u32::try_from(good.lines().count()).unwrap();
        let begin = b"-----BEGIN CERTIFICATE-----";
        let cut = good.replace("-----END CERTIFICATE-----\n", "");
        type Row<'a> = (&'a str, String, &'a [(u32, &'a [u8])]);
        let rows: [Row<'_>; 7] = [
            ("one", good.clone(), &[(1, &der)]),
            ("behind text", format!("text\n{good}"), &[(2, &der)]),
            ("windows", good.replace('\n', "\r\n"), &[(1, &der)]),
            ("two", format!("{good}{good}"), &[(1, &der), (lines + 1, &der)]),
            ("no base64", format!("{good}-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), &[(1, &der), (lines + 1, begin)]),
            ("without an end", format!("{cut}{good}"), &[(1, begin), (lines, &der)]),
            ("other labels", format!("-----BEGIN X-----\nAAAA\n-----END X-----\n{}", cut.trim_end()), &[(4, begin)]),
        ];
        for (what, text, expected) in rows {
            let found = placed(&text, "CERTIFICATE");
            let found: Vec<(u32, &[u8])> = found.iter().map(|block| (block.line, block.der.as_slice())).collect();
            assert_eq!(found, expected, "{what}");
        }
    }
}
