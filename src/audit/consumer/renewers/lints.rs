//! What can be wrong in the configuration of clients of public and private CAs.

use crate::judge::lint::catalogue;

catalogue! {
    HOOK_MODE = "renewal.hook-not-executable", High, open, "a hook that is not executable: certbot passes over it in silence", "chmod 0755 the hook";
    HOOK_ABSENT = "renewal.hook-absent", High, open, "what is to be run after a renewal does not exist", "create it, or correct the path";
}
