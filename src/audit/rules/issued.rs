//! What OpenBao knows of the certificates that are in use: revoked, or never issued there.

use serde_json::Value;

use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::config::settings::Settings;
use crate::io::look::View;
use crate::judge::cert::Facts;
use crate::judge::lint::{Findings, catalogue};
use crate::judge::pem;
use crate::model::audit::{Location, Object, Target};
use crate::model::failure::Failure;
use crate::model::layout;

catalogue! {
    REVOKED = "issued.revoked", High, open, "OpenBao has revoked the certificate that is in use",
        "find out who revoked it and why; then have it issued anew: omens renew --force NAME";
    UNKNOWN = "issued.unknown", Low, open, "OpenBao does not know the certificate that is in use",
        "have it issued by the mount of the settings: omens renew --force NAME; or correct openbao.mount";
    NOT_ASKED = "issued.not-asked", Info, open, "OpenBao was not asked about roles and issued certificates",
        "see omens check-config --online: it says what the login lacks";
}

/// A certificate of the settings that is committed.
#[derive(Clone, Debug)]
pub struct Used {
    /// Serial number, as OpenBao writes it.
    pub serial: String,
    /// The role that should have signed it.
    pub role: String,
    name: String,
    sha256: crate::model::audit::Object,
    location: Location,
}

/// Every committed certificate of the settings.
#[must_use]
pub fn in_use(settings: &Settings) -> Vec<Used> {
    let view = View::host();
    let none = std::collections::BTreeMap::new();
    let of = |certificate: &crate::config::settings::Certificate| {
        let name = certificate.name().as_str();
        let path = settings.paths.state.join(layout::CERTS).join(name).join(layout::LIVE).join(layout::CERT);
        let der = pem::read(&view.text(&path).ok()?, &mut Findings::new(&none)).into_iter().next()?;
        let facts = Facts::parse(&der).ok()?;
        let sha256 = Object::certificate(&facts.sha256);
        Some(Used {
            serial: facts.serial,
            role: certificate.issuer.role().to_owned(),
            name: name.to_owned(),
            sha256,
            location: Location::file(path),
        })
    };
    settings.certificates.iter().filter_map(of).collect()
}

/// Judges what `GET MOUNT/cert/SERIAL` answers: its `data`, or nothing where there is no such certificate. `is_kept` says whether the role
/// keeps what it signs (`no_store`).
pub fn judge(used: &Used, answer: Option<&Value>, is_kept: bool, findings: &mut HostFindings) {
    let draft = |lint| {
        let draft = NewFinding::new(lint, Target::new("certificate", used.name.clone()), used.sha256.clone());
        draft.file(used.location.clone()).found(format!("serial {}", used.serial))
    };
    match answer {
        None if is_kept => findings.add(draft(&UNKNOWN).expected("a certificate that the mount has issued and keeps")),
        None => {}
        Some(answer) => {
            let revoked = answer.get("revocation_time").and_then(Value::as_i64).filter(|at| *at > 0);
            if let Some(at) = revoked {
                let at = crate::model::clock::Time::from_unix(at);
                findings.add(draft(&REVOKED).expected("not revoked").since(at).evidence(format!("revoked at {at}")));
            }
        }
    }
}

/// Says that OpenBao could not be asked, and why.
pub fn not_asked(settings: &Settings, failure: &Failure, findings: &mut HostFindings) {
    let object = Object::Role(settings.openbao.mount.clone());
    let draft = NewFinding::new(&NOT_ASKED, Target::new("openbao", settings.openbao.address()), object);
    findings.add(draft.file(Location::file(&settings.file)).found(failure.text.clone()));
}
