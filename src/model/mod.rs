//! Nouns without I/O: everything the other rooms talk about.

pub mod anchor;
pub mod audit;
pub mod canonical;
pub mod clock;
pub mod code;
pub mod entry;
pub mod failure;
pub mod finding;
pub mod key;
pub mod layout;
pub mod name;
pub mod openbao;
pub mod pcr;
pub mod profile;
pub mod program;
pub mod reason;
pub mod report;
pub mod request;
pub mod sealed;
pub mod secret;
pub mod span;
pub mod starttls;
pub mod state;
pub mod tcti;
pub mod text;
pub mod window;
