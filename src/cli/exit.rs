//! Exit codes that commands share.

/// Nothing went wrong.
pub const OK: u8 = 0;
/// Something could not be done.
pub const FAILED: u8 = 1;
/// Wrong settings or usage: nothing was attempted.
pub const REFUSED: u8 = 2;
/// An error of `status --due`, where 1 means "not due" ([Processes and units](crate::io#processes-and-units): systemd takes 1 to 254 as
/// "skip").
pub const UNKNOWN: u8 = 255;
