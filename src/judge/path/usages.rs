//! Extended key usages along a path, as webpki asks for them.

use std::cell::Cell;

use webpki::{Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext};

use crate::model::profile::Purpose;

/// webpki looks at as many certificates in one search. Its own limit of 200,000 is seconds of work for a hostile bundle.
const MAX_STEPS: usize = 5_000;

/// Extended key usage of every certificate of a path, where it has one ([webpki](crate::judge#webpki)), as webpki's own `server_auth` and
/// `client_auth` do;
/// and a limit to how many certificates are tried.
pub(super) struct Usages {
    pub(super) purpose: Option<Purpose>,
    pub(super) steps: Cell<usize>,
}

impl ExtendedKeyUsageValidator for Usages {
    fn validate(&self, iter: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > MAX_STEPS {
            return Err(Error::MaximumPathBuildCallsExceeded);
        }
        let present = iter.collect::<Result<Vec<KeyPurposeId<'_>>, Error>>()?;
        let Some(purpose) = self.purpose.filter(|_| !present.is_empty()) else { return Ok(()) };
        let asked = [(purpose.server(), KeyUsage::server_auth(), SERVER_AUTH), (purpose.client(), KeyUsage::client_auth(), CLIENT_AUTH)];
        for (_, required, oid) in asked.into_iter().filter(|(asked, ..)| *asked) {
            if !present.contains(&KeyPurposeId::new(oid)) {
                let present = present.iter().map(KeyPurposeId::to_decoded_oid).collect();
                return Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }));
            }
        }
        Ok(())
    }
}

/// id-kp-serverAuth and id-kp-clientAuth, the content of their DER.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
