//! The swap: stage in the state directory, stage in the run directory, rename the run directory's `live`. The commit is `commit`'s.
//!
//! # On disk
//! ```text
//! STATE/certs/NAME/gen-N/   cert.pem chain.pem fullchain.pem meta.json, key.sealed or key.pem(0600)     never rewritten
//! STATE/certs/NAME/live     → gen-N: the last committed generation, what boots
//! STATE/certs/NAME/state.json, STATE/ledger.jsonl, STATE/lock
//! RUN/NAME/gen-N/           the same and combined.pem (full chain, then key), nginx.conf (names gen-N's own paths)
//! RUN/NAME/live             → gen-N: what consumers read; one rename publishes everything
//! RUN/NAME/nginx.conf       → live/nginx.conf, for nginx's `include`
//! RUN/trust/anchor.pem      the pinned root
//! ```
//! A name that begins with a dot is a leftover of a killed run; the next one removes it. N is one more than the largest number ever seen
//! in either tree or in `state.json`. Links at any of these paths are refused, except the two that are ours.
//!
//! # The order, and what a cut leaves
//! | step | flushed by | a kill or power cut before it leaves |
//! |---|---|---|
//! | 0. a sealing key, where none serves | file, directory | nothing new; after it: a sealing key that nothing uses yet |
//! | 1. count the request in `state.json` | file, directory | nothing new; after it: a counted request, at worst a certificate nobody has |
//! | 2. write `.gen-N`, all its files | each file, the directory | a dot-name, removed by the next run |
//! | 3. rename `.gen-N` to `gen-N` | the parent | the same |
//! | 4. stage RUN `gen-N` | (tmpfs) | debt: a complete generation newer than `live`; the next run settles it without signing |
//! | 5. rename RUN `live` | (tmpfs) | the same; consumers read the old generation |
//! | 6. reload, verify | | the same; consumers may read the new one. After a power cut RUN is gone and the old one boots |
//! | 7. rename STATE `live` | the directory | the same |
//! | 8. `state.json` | file, directory | the new one is committed, its proof unknown: the next run verifies it without signing |
//! | 9. the ledger | the file | the next run writes `interrupted at STAGE` for a run that did not come this far |
//!
//! Going back is steps 4 to 6 with the committed generation; STATE `live` never moved. Measured behind this order: two renamed files leave
//! a new certificate with an old key after a kill, a directory and a link without flushes leave empty files after a power cut; this order
//! left only whole generations in all of 175 reordered disk images (facts/host §1).

mod aside;
mod place;
mod publish;
mod stage;

pub use aside::keep_aside;
pub(in crate::steps) use place::failure as disk_failure;
pub use place::{Place, Trees};
pub use publish::{Published, put_back, write_copies};
pub use stage::{Reopened, Staged, demand_memory, is_whole, reopen};
