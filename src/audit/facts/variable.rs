//! A variable of a service's environment, and where it is set.

use crate::model::audit::Location;

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The line that sets it.
    pub location: Location,
}
