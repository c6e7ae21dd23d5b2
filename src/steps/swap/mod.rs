//! The swap: stage in the state directory, stage in the run directory, rename the run directory's `live`. The commit is `commit`'s.
//!
#![doc = include_str!("ondisk.md")]

mod aside;
mod foreign;
mod leftovers;
mod place;
mod publish;
pub mod renames;
mod site;
mod stage;
mod trust;
pub mod withdrawn;
mod written;

pub use aside::keep_aside;
pub use foreign::{refuse_foreign, refuse_foreign_run, run_root};
pub(in crate::steps) use place::failure as disk_failure;
pub use place::{Place, Trees, run_directory};
pub use publish::{Published, demand_publishable, put_back, write_copies};
pub use site::{Site, demand_memory};
pub use stage::{Reopened, Staged, condition_text, demand_room, is_whole, reopen};
pub use trust::{Announced, keep as keep_anchors, show as show_trust};
