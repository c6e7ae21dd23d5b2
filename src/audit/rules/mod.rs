//! What is judged of a host as a whole, whichever service it concerns: material, timers, what is served, what OpenBao knows, several hosts.

pub mod across;
pub mod issued;
pub mod material;
pub mod served;
pub mod timers;
