//! What is noted of a service that was started: which life of it began. By that its proof tells whether it is still the same one.

use serde_json::{Value, json};

/// Where it stands among the notes of a driver ([`Done::before`](crate::config::service::Done::before)).
const KEY: &str = "life";

/// The life of a service that began when it was started.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::steps) enum Life {
    /// What tells it from the next one: an invocation of a unit, the id of a process.
    Known(Value),
    /// Nobody can tell: it has ended already, or has not said yet which process it is.
    Unknown,
}

impl Life {
    pub(super) fn of(known: Option<impl Into<Value>>) -> Self {
        known.map_or(Self::Unknown, |known| Self::Known(known.into()))
    }

    /// What is noted; `None` where the service was not started.
    pub(super) fn noted(before: &Value) -> Option<Self> {
        before.get(KEY).map(|life| Self::of(Some(life).filter(|life| !life.is_null()).cloned()))
    }

    /// The note of it, beside another one.
    pub(super) fn note(self, name: &str, more: &Value) -> Value {
        json!({ (KEY): self.value(), (name): more })
    }

    /// What of a driver's notes is about a start, alone; null where there was none.
    pub(in crate::steps) fn alone(before: &Value) -> Value {
        Self::noted(before).map_or(Value::Null, |life| json!({ (KEY): life.value() }))
    }

    fn value(self) -> Value {
        if let Self::Known(life) = self { life } else { Value::Null }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_of_a_start_is_found_again_and_nothing_else_is_taken_for_it() {
        for life in [Life::of(Some("an invocation")), Life::of(Some(17)), Life::Unknown] {
            let notes = life.clone().note("at", &json!(3));
            assert_eq!((Life::noted(&notes), notes.get("at")), (Some(life.clone()), Some(&json!(3))));
            assert_eq!(Life::noted(&Life::alone(&notes)), Some(life), "alone");
            assert_eq!(Life::alone(&notes).get("at"), None);
        }
        for notes in [Value::Null, json!({}), json!({ "sealed": false })] {
            assert_eq!((Life::noted(&notes), Life::alone(&notes)), (None, Value::Null), "{notes}");
        }
    }
}
