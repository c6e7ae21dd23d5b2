//! The steps of a renewal, each taking the value of the step before; `flow` alone knows the whole order.

pub mod issue;
