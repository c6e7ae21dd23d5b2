//! The swap: stage in the state directory, stage in the run directory, rename the run directory's `live`. The commit is `commit`'s.
//!
//! A generation is staged as `.gen-N`, flushed, renamed to `gen-N`, and its parent flushed: complete by its name. It is never rewritten.
//! What every kill and power cut leaves is in the crate's documentation.

mod place;
mod publish;
mod stage;

pub use place::Place;
pub(in crate::steps) use place::failure as disk_failure;
pub use publish::{Published, put_back, write_copies};
pub use stage::{Reopened, Staged, reopen};
