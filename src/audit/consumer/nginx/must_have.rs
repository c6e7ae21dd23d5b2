//! Directives without which nginx refuses a server of `stream` or `mail`.

use super::lints;
use super::module::Module;
use super::reader::NginxReader;
use super::scope::Scope;
use super::server::Server;
use super::source::at;
use crate::model::finding::Severity;

/// Ports by which `mail` knows what is spoken there (`ngx_mail_protocol_t` of its modules).
const MAIL_PORTS: &[u16] = &[25, 465, 587, 110, 995, 143, 993];
/// What answers a connection of `stream`; another module's directive may do it too.
const HANDLERS: &[&str] = &["proxy_pass", "return", "pass"];

const HANDLER: &str = "proxy_pass or return";

/// Says what a server lacks; one with an include that led nowhere may have it there.
pub(super) fn judge(reader: &mut NginxReader<'_>, server: &Server<'_>, scope: &Scope<'_>, module: Module) {
    if module == Module::Http || scope.lacks_include() {
        return;
    }
    let missing = match module {
        _ if scope.own("listen").is_empty() => Some("listen"),
        Module::Stream if !handles(server) => Some(HANDLER),
        Module::Mail if scope.own("protocol").is_empty() && !is_usual(server) => {
            Some("protocol imap, pop3 or smtp, since its port is none of theirs")
        }
        Module::Mail if scope.get("auth_http").is_none() => Some("auth_http, here or around it"),
        _ => None,
    };
    if let Some(missing) = missing {
        let draft = at(&lints::SERVER_INCOMPLETE, server.directive).expected(missing);
        let draft = draft.found(format!("none in {} of {}", server.label, module.block()));
        // ngx_stream_core_module.c, `ngx_stream_core_content_phase`.
        let starts = missing == HANDLER && reader.version.is_some_and(|version| version >= [1, 27, 1]);
        reader.findings.add(if starts {
            draft.severity(Severity::Medium).evidence("this nginx starts, and closes every connection to it at once")
        } else {
            draft
        });
    }
}

fn handles(server: &Server<'_>) -> bool {
    server
        .directive
        .inside()
        .iter()
        .any(|line| HANDLERS.contains(&line.name.as_str()) || !super::known::is_own(&line.name) || line.name.starts_with("js_"))
}

fn is_usual(server: &Server<'_>) -> bool {
    server.listens.iter().any(|(listen, _)| listen.port.is_some_and(|port| MAIL_PORTS.contains(&port)))
}
