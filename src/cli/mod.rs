//! One file per subcommand: arguments in, documents and exit codes out.

pub mod online;
