//! The worlds that server blocks are in: directives of one name may take other words in each.

use super::syntax::Directive;

/// A module with server blocks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    Http,
    Stream,
    Mail,
}

impl Module {
    pub(super) const ALL: [Self; 3] = [Self::Http, Self::Stream, Self::Mail];

    /// Its block.
    pub(super) const fn block(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Stream => "stream",
            Self::Mail => "mail",
        }
    }

    /// The module whose block this is.
    pub(super) fn of(block: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|module| module.block() == block)
    }
}

/// What Debian and others build as modules that are loaded: nothing in them is new to who knows nginx.
const OWN: &[&str] = &[
    "ngx_http_geoip_module",
    "ngx_http_image_filter_module",
    "ngx_http_perl_module",
    "ngx_http_xslt_filter_module",
    "ngx_mail_module",
    "ngx_stream_geoip_module",
    "ngx_stream_module",
];

/// The name of the module that a `load_module` line loads.
fn loaded(line: &Directive) -> &str {
    let file = line.arg().rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".so").unwrap_or(file)
}

/// Whether a line loads a module that others make.
pub(super) fn is_of_others(line: &Directive) -> bool {
    line.name == "load_module" && !OWN.contains(&loaded(line))
}

/// The first block of a module that an nginx without it in the program itself would have to load, and does not.
pub(super) fn not_loaded(list: &[Directive]) -> Option<&Directive> {
    let is_loaded = |block: &str| {
        let name = format!("ngx_{block}_module");
        list.iter().any(|line| line.name == "load_module" && loaded(line) == name)
    };
    list.iter().find(|line| matches!(line.name.as_str(), "stream" | "mail") && !is_loaded(&line.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_needs_its_module_and_modules_of_others_are_told_apart() {
        type Row<'a> = (&'a str, Option<&'a str>, bool);
        let rows: [Row<'_>; 6] = [
            ("stream { }", Some("stream"), false),
            ("load_module modules/ngx_stream_module.so; stream { } http { }", None, false),
            ("load_module /usr/lib/nginx/modules/ngx_mail_module.so; stream { } mail { }", Some("stream"), false),
            ("load_module modules/ngx_stream_js_module.so; stream { }", Some("stream"), true),
            ("load_module modules/ngx_http_echo_module.so; http { }", None, true),
            ("http { }", None, false),
        ];
        for (text, expected, others) in rows {
            let (list, _) = super::super::syntax::parse(text, &std::rc::Rc::from(std::path::Path::new("/n")));
            assert_eq!(not_loaded(&list).map(|line| line.name.as_str()), expected, "{text}");
            assert_eq!(list.iter().any(is_of_others), others, "{text}");
        }
    }
}
