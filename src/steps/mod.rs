//! The steps of a renewal, each taking the value of the step before; `flow` alone knows the whole order.
//!
#![doc = include_str!("services.md")]

pub mod attest;
pub mod key;
pub mod issue;
pub mod validate;
pub mod keep;
pub mod swap;
pub mod service;
pub mod prove;
pub mod commit;
pub mod record;
pub mod run;
pub mod flow;
pub mod enroll;
pub mod forget;
pub mod restore;
pub mod reseal;
pub mod rollback;
pub mod unblock;
pub mod install;
pub mod metrics;
