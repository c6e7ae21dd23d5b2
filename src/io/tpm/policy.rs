//! The use of what a policy over PCRs guards. It must never leave the policy of one use in the session that the next one finds.

use tss_esapi::Result as TssResult;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::Digest;

use super::door::Loaded;
use super::{TRIES, error, object};
use crate::model::pcr::PcrValues;

/// Uses what is loaded under the policy over its PCRs, where there is one; `None` where that does not hold. Any PCR that moves between policy
/// and use fails the use with PCR_CHANGED, also one that the policy does not name; a host with IMA does that all the time
/// ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)). So it is asked again, on the same session.
pub(super) fn under_policy<T>(
    loaded: &mut Loaded<'_>,
    session: AuthSession,
    pcrs: &PcrValues,
    mut uses: impl FnMut(&mut Loaded<'_>, AuthSession) -> TssResult<T>,
) -> TssResult<Option<T>> {
    if pcrs.list.is_empty() {
        return uses(loaded, session).map(Some);
    }
    let policy = PolicySession::try_from(session)?;
    for _ in 0..TRIES {
        loaded.door.send(None, |context| context.policy_pcr(policy, Digest::default(), object::selection(pcrs.list.numbers())?))?;
        let used = uses(loaded, session);
        if used.is_ok() {
            return used.map(Some);
        }
        // Only a use that succeeds ends a policy: whoever is next finds the session as new.
        loaded.door.send(None, |context| context.policy_restart(policy))?;
        match used {
            Err(why) if error::kind(why) == Some(Kind::PcrChanged) => {}
            Err(why) if error::kind(why) == Some(Kind::PolicyFail) => return Ok(None),
            other => return other.map(Some),
        }
    }
    Ok(None)
}
