//! What goes wrong with a TPM, in words with a remedy ([Errors](crate::io::tpm#errors)). It must never hold what a TPM keeps secret.

use tss_esapi::Error as Tss;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind as Kind};

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::pcr;

/// A TPM that does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TpmError {
    /// Nobody answers, or with something that is no answer.
    #[error("the TPM at {tcti} cannot be reached: {why}")]
    Unreachable {
        /// Which.
        tcti: String,
        /// Why, as far as it can be told.
        why: String,
        /// What to do.
        hint: String,
    },
    /// It answers, and cannot do it now.
    #[error("the TPM has no room or time: {why}")]
    Busy {
        /// What it said.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Too many wrong authorisations, by whomever, or power cuts.
    #[error("the TPM is in lockout and refuses to use its storage root key")]
    Lockout,
    /// Another storage root key than the pinned one.
    #[error("the TPM is not the one that keys were sealed to: expected the storage root key {expected}, found {found}")]
    Replaced {
        /// Fingerprint of the pinned Name.
        expected: String,
        /// Fingerprint of what is there.
        found: String,
    },
    /// The policy does not hold.
    #[error("{} changed since the key was sealed", pcr::named(.0))]
    PcrChanged(
        /// Which.
        Vec<u32>,
    ),
    /// A policy over these would protect nothing.
    #[error("{} {why}", pcr::named(pcrs))]
    PcrUnmeasured {
        /// Which.
        pcrs: Vec<u32>,
        /// What they hold.
        why: &'static str,
    },
    /// The sealed object is not one that this TPM made, or was changed.
    #[error("the sealed object is damaged: {0}")]
    Damaged(
        /// What is wrong.
        String,
    ),
    /// It refuses for a reason that is the host's or ours.
    #[error("the TPM refuses to {doing}: {why}")]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        why: String,
        /// What to do.
        hint: &'static str,
    },
}

const SLOTS: &str = "a killed program left its slots in use, or the TPM is shared without a resource manager: use device:/dev/tpmrm0; \
                     on a software TPM `tpm2_flushcontext` with -t, -l and -s frees them";
const AGAIN: &str = "try again; a certificate that is in use keeps serving";

impl TpmError {
    /// The word of the contract.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Refused { .. } => Code::TpmUnreachable,
            Self::Busy { .. } => Code::TpmBusy,
            Self::Lockout => Code::TpmLockout,
            Self::Replaced { .. } => Code::TpmReplaced,
            Self::PcrChanged(_) => Code::PcrChanged,
            Self::PcrUnmeasured { .. } => Code::PcrUnmeasured,
            Self::Damaged(_) => Code::BlobDamaged,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { hint, .. } | Self::Busy { hint, .. } => hint.clone(),
            Self::Refused { hint, .. } => (*hint).to_owned(),
            Self::Lockout => {
                "power cuts raise the counter too; `tpm2_dictionarylockout --clear-lockout` with the lockout password, or wait: \
                              it heals by itself"
                    .to_owned()
            }
            Self::Replaced { .. } => {
                "the TPM was cleared, the board or disk moved, or something sits between: find out which; if it is meant, \
                                      `omens reseal --new-tpm`, then `omens renew --all`"
                    .to_owned()
            }
            Self::PcrChanged(_) => "a change of firmware, boot loader or kernel does this, and so does an attack: find out which; then \
                                    `omens renew --all` makes new keys and certificates"
                .to_owned(),
            Self::PcrUnmeasured { .. } => "a policy over such a PCR protects nothing: name PCRs that the firmware measures into (see \
                                           `tpm2_pcrread sha256`), or none"
                .to_owned(),
            Self::Damaged(_) => "`omens renew --all` makes a new key and certificate".to_owned(),
        }
    }

    /// The same for reports.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::new(Stage::Seal, self.code(), self.to_string()).hint(self.hint())
    }

    /// What a refused command means, where it is none of the cases its caller knows.
    pub(super) fn of(doing: &'static str, tcti: &str, why: Tss) -> Self {
        let said = said(why);
        match kind(why) {
            Some(Kind::Lockout) => Self::Lockout,
            Some(Kind::ObjectMemory | Kind::SessionMemory | Kind::Memory | Kind::ObjectHandles | Kind::SessionHandles) => {
                Self::Busy { why: said, hint: SLOTS.to_owned() }
            }
            Some(Kind::Retry | Kind::Yielded | Kind::Testing | Kind::Canceled | Kind::NvRate | Kind::NvUnavailable | Kind::ContextGap) => {
                Self::Busy { why: said, hint: AGAIN.to_owned() }
            }
            Some(Kind::AuthFail | Kind::BadAuth) => Self::Refused {
                doing,
                why: "it wants a password".to_owned(),
                hint: "omens knows no password of a TPM: take it off the storage root key, or make one at 0x81000001 yourself \
                       (tpm2_createprimary, tpm2_evictcontrol) where the owner hierarchy has one",
            },
            Some(Kind::Hierarchy | Kind::Disabled) => {
                Self::Refused { doing, why: said, hint: "the owner hierarchy is disabled: enable it in the firmware's settings" }
            }
            Some(Kind::Initialize | Kind::Failure) => Self::Refused { doing, why: said, hint: "power the host off and on again" },
            Some(_) => Self::Refused {
                doing,
                why: said,
                hint: "see whether `tpm2_getcap properties-fixed` works; an SRK at 0x81000001 that is none can be moved away with tpm2_evictcontrol",
            },
            None if is_of_transport(why) => Self::Unreachable {
                tcti: tcti.to_owned(),
                why: format!("the connection broke while omens tried to {doing} ({said})"),
                hint: AGAIN.to_owned(),
            },
            None => Self::Refused { doing, why: said, hint: AGAIN },
        }
    }
}

/// Layers of a response code (TSS 2.0 Overview, §3.2): the TPM itself and resource managers that speak for it, and the transport.
const TPM: [u32; 3] = [0, 11, 12];
const TCTI: u32 = 10;

/// What the TPM itself said; `None` where the answer is not its own. The number alone would be misread: each layer counts anew.
pub(super) fn kind(why: Tss) -> Option<Kind> {
    match why {
        Tss::Tss2Error(code) if layer(why).is_some_and(|layer| TPM.contains(&layer)) => code.kind(),
        _ => None,
    }
}

/// Whether the TPM has no such keys: no curve of that name, or none at all.
pub(super) fn is_unknown_kind(why: Tss) -> bool {
    matches!(kind(why), Some(Kind::Curve | Kind::Type))
}

/// Whether the connection gave no answer.
pub(super) fn is_of_transport(why: Tss) -> bool {
    layer(why) == Some(TCTI)
}

/// Whether libtss2 could not be loaded (`packaging/tss2.c`).
pub(super) fn is_without_library(why: Tss) -> bool {
    /// `TSS2_TCTI_RC_NOT_IMPLEMENTED`.
    const NOT_IMPLEMENTED: u32 = TCTI << 16 | 2;
    raw(why) == Some(NOT_IMPLEMENTED)
}

fn layer(why: Tss) -> Option<u32> {
    raw(why).map(|raw| raw >> 16 & 0xff)
}

/// The number, which tss-esapi gives only as text.
fn raw(why: Tss) -> Option<u32> {
    let text = match why {
        Tss::Tss2Error(Tss2ResponseCode::FormatZero(code)) => code.to_string(),
        Tss::Tss2Error(Tss2ResponseCode::FormatOne(code)) => code.to_string(),
        Tss::Tss2Error(Tss2ResponseCode::Success) | Tss::WrapperError(_) => return None,
    };
    u32::from_str_radix(text.rsplit("0x").next()?, 16).ok()
}

/// What it said, with the number that others can look up.
pub(super) fn said(why: Tss) -> String {
    match (kind(why), raw(why)) {
        (Some(_), Some(raw)) => format!("{why}, 0x{raw:03x}"),
        (None, Some(raw)) => format!("response code 0x{raw:x}"),
        (_, None) => why.to_string(),
    }
}
