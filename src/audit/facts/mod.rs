//! What is known of a host before anything is judged: what services are told, what runs by itself, and what was found so far. The
//! descriptor of a service is made of these as well.

pub mod address;
pub mod chains;
pub mod findings;
pub mod given;
pub mod hcl;
pub mod package;
pub mod plugged;
pub mod program;
pub mod service;
pub mod started;
pub(crate) mod spelling;
pub mod terms;
pub mod timer;
pub mod unread;
pub mod variable;
pub mod wiring;
