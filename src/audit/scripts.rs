//! Renewal scripts and cron tables. It must never run one.

use crate::judge::lint::catalogue;

catalogue! {}
