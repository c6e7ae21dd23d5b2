//! shim
use crate::model::failure::{Failure, Warning};
use futures_util::future::BoxFuture;

/// id
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceId(String);
impl ServiceId {
    /// new
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}
/// state
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// failed
    Failed,
    /// running
    Running,
    /// stopped
    Stopped,
}
/// answer
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// asked
    Asked(Vec<Warning>),
    /// stopped
    Stopped,
}
/// service
pub trait Service: std::fmt::Debug + Send + Sync {
    /// id
    fn id(&self) -> ServiceId;
    /// name
    fn name(&self) -> String;
    /// state
    ///
    /// # Errors
    /// x
    fn state(&self) -> BoxFuture<'_, Result<ServiceState, Failure>>;
    /// ask
    ///
    /// # Errors
    /// x
    fn ask(&self, state: ServiceState) -> BoxFuture<'_, Result<Answer, Failure>>;
    /// certain
    fn stopped_is_certain(&self) -> bool;
}
