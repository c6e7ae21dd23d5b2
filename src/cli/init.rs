//! `init`: settings for what this host, or another below `--root`, uses today. It writes nothing but to stdout.

use super::arguments::Init;
use super::exit::{FAILED, OK, REFUSED};
use super::init_server;
use super::session::Session;
use crate::audit::adopt::{self, write};
use crate::io::look::View;
use crate::model::code::Code;
use crate::model::report::RunError;

pub(super) fn run(session: &mut Session<'_>, arguments: &Init) -> u8 {
    if arguments.server {
        return init_server::run(session);
    }
    let view = match arguments.root.as_deref().map(View::root) {
        None => View::host(),
        Some(Ok(view)) => view,
        Some(Err(error)) => {
            let hint = Some("give it the root directory of a host's files".to_owned());
            let error = RunError { code: Code::Root, text: format!("--root: {error}"), hint };
            let empty = crate::model::report::Report { error: Some(error), ..session.empty("init", REFUSED) };
            return session.report(&empty);
        }
    };
    let adoption = adopt::gather(&view, session.drivers, session.clock.now());
    let exit = if adoption.certificates.is_empty() { FAILED } else { OK };
    if session.global.json {
        session.ended(&adoption, exit);
    } else {
        session.output.text(&write::settings(&adoption));
    }
    if adoption.certificates.is_empty() {
        let why = match adoption.skipped.as_slice() {
            [] => "nginx, Keylime, SPIRE and OpenBao of this host use none",
            _ => "each that is in use was left out, for the reason that is said",
        };
        session.screen.print(&format!("no certificate to take over: {why}\n"));
    }
    exit
}
