//! The swap: stage in the state directory, stage in the run directory, rename the run directory's `live`. The commit is `commit`'s.
//!
#![doc = include_str!("ondisk.md")]

mod aside;
mod place;
mod publish;
mod stage;

pub use aside::keep_aside;
pub(in crate::steps) use place::failure as disk_failure;
pub use place::{Place, Trees};
pub use publish::{Published, put_back, write_copies};
pub use stage::{Reopened, Staged, demand_memory, demand_room, is_whole, reopen};
