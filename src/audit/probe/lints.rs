//! What can be wrong there. It must never hold a check.

use crate::judge::lint::catalogue;

catalogue! {}
