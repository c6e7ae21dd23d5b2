//! Certificates, keys and trust lists that configurations name: pairs, chains, owners and modes, debris, and whether both ends of a call agree.

pub mod lints;
