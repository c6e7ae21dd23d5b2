//! A person's yes to something that is done at once: asked on a terminal, or given by `--yes`. Nobody there means no.

use super::arguments::Command;
use super::session::Session;
use crate::model::code::Code;
use crate::model::report::RunError;

/// Whether to go on; where not, it was said and the exit code is given.
pub(super) fn confirmed(session: &mut Session<'_>, command: &Command, yes: bool, question: &str) -> Result<(), u8> {
    if yes || (session.environment.stdin_is_terminal && session.environment.stderr_is_terminal && asked(session, question)) {
        return Ok(());
    }
    let text = format!("not done without a yes: {question}");
    let error = RunError { code: Code::Usage, text, hint: Some("repeat the command with --yes".to_owned()) };
    Err(session.refuse(command, error))
}

fn asked(session: &Session<'_>, question: &str) -> bool {
    session.screen.print(&format!("{question} [y/N] "));
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
