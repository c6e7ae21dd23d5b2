//! Whether a revocation list may be given to consumers in place of the one that they have. It must never let one through that is not whole,
//! not signed by an authority of this host's chains, not fresh, or older than what is there.

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::List;
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::clock::Time;

/// Seconds by which an authority's clock may be ahead.
const AHEAD: i64 = 60;
/// A list is asked for again while this part of its life is left, and no less than so many seconds: some runs are to find a second chance.
const LEFT: i64 = 3;
const LEAST_LEFT: i64 = 3600;

/// A list as its bytes came, in PEM or DER, as PEM that consumers may be given. `issuers` are DER of the authorities of this host's chains,
/// `kept` is the list that they have.
///
/// # Errors
/// Why not, in one line.
pub fn deliverable(bytes: &[u8], issuers: &[Vec<u8>], kept: Option<&str>, now: Time) -> Result<String, String> {
    let der = single(bytes)?;
    let list = List::read(0, &der).map_err(|(lint, found)| format!("{}: {found}", lint.id))?;
    signed(&list, &der, issuers)?;
    if list.this_update > now.plus(AHEAD) {
        return Err(format!("it is of {}, which is still to come", list.this_update));
    }
    match list.next_update {
        None => return Err("it does not say until when it holds (nextUpdate)".to_owned()),
        Some(next) if next <= now => return Err(format!("it held until {next}")),
        Some(_) => {}
    }
    let before = kept.and_then(|kept| pem::lists(kept).into_iter().next()).filter(|before| *before != der);
    if let Some(before) = before.as_ref().and_then(|before| List::read(0, before).ok().map(|list| (list, before))) {
        not_older(&list, &der, &before.0, before.1)?;
    }
    Ok(pem::write_list(&der))
}

/// When a list that was delivered stops to hold.
#[must_use]
pub fn holds_until(kept: &str) -> Option<Time> {
    List::read(0, &pem::lists(kept).into_iter().next()?).ok()?.next_update
}

/// Whether the list that consumers have is to be asked for again although nothing else is: there is none, or it ends soon.
#[must_use]
pub fn ends_soon(kept: Option<&str>, now: Time) -> bool {
    let list = kept.and_then(|kept| pem::lists(kept).into_iter().next()).and_then(|der| List::read(0, &der).ok());
    let Some((list, next)) = list.and_then(|list| list.next_update.map(|next| (list, next))) else { return true };
    next.since(now) <= (next.since(list.this_update) / LEFT).max(LEAST_LEFT)
}

fn single(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if bytes.first() == Some(&0x30) {
        return Ok(bytes.to_vec());
    }
    let mut lists = pem::lists(&String::from_utf8_lossy(bytes));
    match (lists.pop(), lists.len()) {
        (Some(list), 0) => Ok(list),
        (None, _) => Err("expected a revocation list in PEM or DER, found none".to_owned()),
        (Some(_), more) => Err(format!("expected one revocation list, found {}", more + 1)),
    }
}

fn signed(list: &List, der: &[u8], issuers: &[Vec<u8>]) -> Result<(), String> {
    let all = issuers.iter().filter_map(|issuer| Facts::parse(issuer).ok());
    let of_name: Vec<Facts> = all.filter(|facts| facts.subject.der == list.issuer).collect();
    if of_name.is_empty() {
        return Err(format!("it is of {}, expected a pinned root or an intermediate of a committed chain", list.words));
    }
    let is_signer = |issuer: &&Facts| {
        let (Ok((_, crl)), Ok((_, key))) = (CertificateRevocationList::from_der(der), SubjectPublicKeyInfo::from_der(&issuer.spki)) else {
            return false;
        };
        crl.verify_signature(&key).is_ok()
    };
    let signer = of_name.iter().find(is_signer).ok_or_else(|| format!("it is not signed with the key of {}", list.words))?;
    match &signer.extensions.key_usage {
        Some(usage) if !usage.values.iter().any(|value| value == "cRLSign") => {
            Err(format!("{} may not sign lists: its key usage is {}", list.words, usage.values.join(", ")))
        }
        _ => Ok(()),
    }
}

fn not_older(list: &List, der: &[u8], before: &List, before_der: &[u8]) -> Result<(), String> {
    // Lists of different authorities are not compared: one was exchanged.
    if list.issuer != before.issuer {
        return Ok(());
    }
    if list.this_update < before.this_update {
        return Err(format!("it is of {}, older than the one of {} that is there", list.this_update, before.this_update));
    }
    match (number(der), number(before_der)) {
        (Some(new), Some(old)) if new < old => Err(format!("its CRL number {new} is less than {old} of the one that is there")),
        _ => Ok(()),
    }
}

/// The CRL number (RFC 5280 §5.2.3).
fn number(der: &[u8]) -> Option<impl Ord + std::fmt::Display + use<>> {
    CertificateRevocationList::from_der(der).ok()?.1.crl_number().cloned()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, SerialNumber};

    use super::*;
    use crate::judge::kit::{Authority, DAY, Pki, ROOT, now, time};

    struct Of {
        from: i64,
        until: i64,
        number: u64,
    }

    fn list(by: &Authority, of: &Of) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: time(now().plus(of.from)),
            next_update: time(now().plus(of.until)),
            crl_number: SerialNumber::from(of.number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&by.issuer()).unwrap().der().to_vec()
    }

    #[test]
    fn only_a_whole_signed_fresh_and_newer_list_takes_the_place_of_a_good_one() {
        let pki = Pki::new();
        let issuers = [pki.root.der.clone(), pki.middle.der.clone()];
        let good = list(&pki.middle, &Of { from: -60, until: DAY, number: 7 });
        let kept = deliverable(&good, &issuers, None, now()).unwrap();
        assert_eq!(pem::lists(&kept), std::slice::from_ref(&good));
        assert_eq!(deliverable(kept.as_bytes(), &issuers, Some(&kept), now()).as_ref(), Ok(&kept), "the same once more, as PEM");
        assert_eq!(holds_until(&kept), Some(now().plus(DAY)));
        let newer = list(&pki.middle, &Of { from: 0, until: DAY, number: 8 });
        assert!(deliverable(&newer, &issuers, Some(&kept), now()).is_ok());
        assert!(
            deliverable(&list(&pki.root, &Of { from: -600, until: DAY, number: 1 }), &issuers, Some(&kept), now()).is_ok(),
            "of another authority"
        );

        assert!(ends_soon(None, now()) && ends_soon(Some("no list"), now()));
        for (from, until, expected) in
            [(-60, DAY, false), (-2 * DAY, DAY + 1, false), (-2 * DAY, DAY, true), (0, 5400, false), (0, 3600, true), (-DAY, -1, true)]
        {
            let kept = pem::write_list(&list(&pki.middle, &Of { from, until, number: 1 }));
            assert_eq!(ends_soon(Some(&kept), now()), expected, "from {from} until {until}");
        }

        let mut torn = good.clone();
        torn.truncate(good.len() - 9);
        let mut forged = newer.clone();
        *forged.last_mut().unwrap() ^= 1;
        let imposter = Authority::root(ROOT);
        let rows: [(&str, Vec<u8>, &str); 11] = [
            ("expired", list(&pki.middle, &Of { from: -DAY, until: -1, number: 9 }), "it held until"),
            ("of tomorrow", list(&pki.middle, &Of { from: DAY, until: 2 * DAY, number: 9 }), "still to come"),
            ("older by its date", list(&pki.middle, &Of { from: -3600, until: DAY, number: 9 }), "older than the one"),
            ("older by its number", list(&pki.middle, &Of { from: 0, until: DAY, number: 6 }), "its CRL number 6 is less than 7"),
            ("truncated", torn, "crl.malformed"),
            ("forged", forged, "not signed with the key"),
            ("of an imposter of the name", list(&imposter, &Of { from: 0, until: DAY, number: 9 }), "not signed with the key"),
            ("of a stranger", list(&Authority::root("Elsewhere"), &Of { from: 0, until: DAY, number: 9 }), "expected a pinned root"),
            ("bytes behind the end", [good.clone(), vec![0]].concat(), "crl.malformed"),
            ("a page", b"<html>not found</html>".to_vec(), "found none"),
            ("two of them", [kept.clone(), kept.clone()].concat().into_bytes(), "found 2"),
        ];
        for (what, bytes, words) in rows {
            let why = deliverable(&bytes, &issuers, Some(&kept), now()).expect_err(what);
            assert!(why.contains(words), "{what}: {why}");
        }
    }
}
