//! What is there (`inventory`) and what to do about it (`decide`, `choice`, `reseal`): a value with ordered reasons.
//! No network, no TPM, no writing; nothing here starts a process.
//!
#![doc = include_str!("peers.md")]

pub mod budget;
pub mod attestation;
pub mod choice;
pub mod copies;
pub mod debt;
pub mod decide;
pub mod due;
pub mod faulty;
pub mod generation;
pub mod health;
pub mod trust;
pub mod sealing;
pub mod serving;
pub mod outlet;
pub mod inventory;
pub mod links;
pub mod login;
pub mod logins;
pub mod metrics;
pub mod overdue;
pub mod planned;
pub mod rename;
pub mod reseal;
pub mod retry;
pub mod scheduler;
pub mod standing;
pub mod under_way;
pub mod unnamed;
pub mod validity;
pub mod view;
pub mod broken;
pub mod window;
