//! One connection to a TPM: every command goes through here and is counted, and what is loaded is flushed on every path.

use tss_esapi::Context;
use tss_esapi::attributes::SessionAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{KeyHandle, ObjectHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Private, Public, SymmetricDefinition};
use tss_esapi::{Error as Tss, Result as TssResult, WrapperErrorKind};

use super::error;

/// A connection. What it still holds when it is dropped, libtss2's wrapper flushes ([The library](crate::io::tpm#the-library)).
#[derive(Debug)]
pub(super) struct Door {
    context: Context,
    commands: u64,
    is_broken: bool,
}

impl Door {
    pub(super) const fn new(context: Context) -> Self {
        Self { context, commands: 0, is_broken: false }
    }

    /// How many commands were sent.
    pub(super) const fn commands(&self) -> u64 {
        self.commands
    }

    /// Whether an answer did not come through.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn noted<T>(&mut self, sent: TssResult<T>) -> TssResult<T> {
        self.is_broken |= sent.as_ref().err().is_some_and(|why| error::is_of_transport(*why));
        sent
    }

    /// Sends one command, authorised and encrypted by `session`.
    pub(super) fn send<T>(&mut self, session: Option<AuthSession>, command: impl FnOnce(&mut Context) -> TssResult<T>) -> TssResult<T> {
        self.commands += 1;
        let sent = self.context.execute_with_session(session, command);
        self.noted(sent)
    }

    /// Sends one command that two authorisations belong to; the second one encrypts.
    pub(super) fn send_two<T>(
        &mut self,
        first: AuthSession,
        second: AuthSession,
        command: impl FnOnce(&mut Context) -> TssResult<T>,
    ) -> TssResult<T> {
        self.commands += 1;
        let sent = self.context.execute_with_sessions((Some(first), Some(second), None), command);
        self.noted(sent)
    }

    /// Asks libtss2 for something that it knows without the TPM.
    pub(super) fn local<T>(&mut self, ask: impl FnOnce(&mut Context) -> TssResult<T>) -> TssResult<T> {
        self.context.execute_without_session(ask)
    }

    /// A session salted to `srk`, so that only the TPM that holds it can read what is sent, and encrypted in both directions.
    pub(super) fn salted(&mut self, srk: KeyHandle, kind: SessionType) -> TssResult<AuthSession> {
        let started = self.send(None, |context| {
            context.start_auth_session(Some(srk), None, None, kind, SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256)
        })?;
        let session = started.ok_or(Tss::WrapperError(WrapperErrorKind::WrongValueFromTpm))?;
        let attributes = SessionAttributesBuilder::new().with_decrypt(true).with_encrypt(true).with_continue_session(true);
        let (attributes, mask) = attributes.build();
        self.local(|context| context.tr_sess_set_attributes(session, attributes, mask))?;
        Ok(session)
    }

    /// Loads an object below `parent`.
    pub(super) fn load(&mut self, parent: KeyHandle, public: Public, private: Private) -> TssResult<Loaded<'_>> {
        let handle = self.send(Some(AuthSession::Password), |context| context.load(parent, private, public))?;
        Ok(Loaded { door: self, handle: handle.into() })
    }

    /// Takes charge of an object that a command left in the TPM.
    pub(super) const fn guard(&mut self, handle: ObjectHandle) -> Loaded<'_> {
        Loaded { door: self, handle }
    }
}

/// An object in one of the TPM's few slots, given back when dropped.
#[derive(Debug)]
pub(super) struct Loaded<'a> {
    pub(super) door: &'a mut Door,
    pub(super) handle: ObjectHandle,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        let handle = self.handle;
        if let Err(why) = self.door.send(None, |context| context.flush_context(handle)) {
            tracing::warn!(%why, "an object stays loaded in the TPM until the connection ends");
        }
    }
}
