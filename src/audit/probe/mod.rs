//! One endpoint: who refuses whom, why, and what mends it.

pub mod lints;
