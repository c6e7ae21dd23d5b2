//! `omens help settings` and the manual page omens.toml(5): every key of the settings, from the descriptions that their parser reads by.

use std::ffi::OsString;

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::exit::{OK, REFUSED};
use super::output::Output;
use super::screen::Screen;
use crate::config::keys::{Key, Kind, Otherwise, Table};
use crate::config::nearest::nearest;
use crate::config::reference::{PROFILE, ROOT, Section, sections};
use crate::model::text::one_line;
use crate::steps::service::DRIVERS;

/// The file of the page.
pub(super) const PAGE: &str = "omens.toml.5";

/// The width of a terminal that the text is made for.
const WIDTH: usize = 100;

/// Which part of the reference a command line asks for, where it is `omens help settings [KEY]`; nothing: all of it.
pub(super) fn asked(arguments: &[OsString]) -> Option<Option<String>> {
    let mut all = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    let mut words: Vec<&str> = Vec::new();
    // Options of all commands may stand beside it, and say nothing here.
    while let Some(word) = all.next() {
        match word {
            "--config" | "--color" => drop(all.next()),
            option if option.starts_with('-') => {}
            word => words.push(word),
        }
    }
    match words.as_slice() {
        ["help", "settings"] => Some(None),
        ["help", "settings", key] => Some(Some((*key).to_owned())),
        _ => None,
    }
}

/// Prints it and gives the exit code.
pub(super) fn print(asked: &Option<String>, screen: &Screen, output: &mut Output) -> u8 {
    let text = text(asked.as_deref().unwrap_or_default());
    if !text.is_empty() {
        output.text(&text);
        return OK;
    }
    let word = one_line(asked.as_deref().unwrap_or_default(), 80);
    let known: Vec<String> = all().iter().flat_map(|section| section.table.keys.iter().map(|key| path(section, key))).collect();
    let known: Vec<&str> = known.iter().flat_map(|path| [path.as_str(), path.rsplit('.').next().unwrap_or_default()]).collect();
    let hint = nearest(&word, &known).map(|best| format!("did you mean \"{best}\"? ")).unwrap_or_default();
    let hint = format!("{hint}`omens help settings` shows all");
    screen.print(&format!("error: usage: the settings have no key or table \"{word}\"\n  hint: {hint}\n"));
    REFUSED
}

/// Every table: those of the settings, then those of a profile.
fn all() -> Vec<Section> {
    sections(&ROOT, DRIVERS).into_iter().chain(sections(&PROFILE, DRIVERS)).collect()
}

/// The way to a key, such as `certificate.verify.tls.address`.
fn path(section: &Section, key: &Key) -> String {
    let above = section.path();
    if above.is_empty() { key.name.to_owned() } else { format!("{above}.{}", key.name) }
}

/// The tables, or what of them lies at or below a key that is named by the end of its way.
fn text(asked: &str) -> String {
    let mut text = String::new();
    for section in all() {
        let here = section.path();
        let whole = asked.is_empty() || is_in(&here, asked) || (here.is_empty() && section.table.title == asked);
        let keys: Vec<&Key> = section.table.keys.iter().filter(|key| whole || is_end(&path(&section, key), asked)).collect();
        if keys.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n", heading(&section)));
        if whole {
            wrap(&mut text, 2, section.table.about);
        }
        for key in keys {
            text.push_str(&format!("\n  {} = {}\n", key.name, key.example));
            wrap(&mut text, 6, &facts(key));
            wrap(&mut text, 6, key.about);
        }
        text.push('\n');
    }
    text
}

/// Whether a table lies at or below what was asked for.
fn is_in(path: &str, asked: &str) -> bool {
    let words: Vec<&str> = path.split('.').collect();
    (1..=words.len()).any(|end| words.get(..end).is_some_and(|above| is_end(&above.join("."), asked)))
}

/// Whether a way ends in the words that were asked for.
fn is_end(path: &str, asked: &str) -> bool {
    path == asked || path.strip_suffix(asked).is_some_and(|before| before.ends_with('.'))
}

/// How a table is headed.
fn heading(section: &Section) -> String {
    let title = section.table.title;
    match section.path() {
        path if path.is_empty() => title.to_owned(),
        // Tables of their own are known by their headers, all others by the way that leads to them.
        _ if title.starts_with('[') => title.to_owned(),
        path => path,
    }
}

/// What a value is, and what holds without it.
fn facts(key: &Key) -> String {
    let otherwise = match key.otherwise {
        Otherwise::Required => "required".to_owned(),
        Otherwise::Value(value) => format!("default {value}"),
        Otherwise::Absent(what) => format!("left out: {what}"),
    };
    format!("{}; {otherwise}", kind(key.kind))
}

/// What a key is set to, in words.
fn kind(kind: Kind) -> String {
    let words = |tables: &[&Table]| tables.iter().map(|table| table.word()).collect::<Vec<_>>().join(", ");
    match kind {
        Kind::Name => "1 to 64 of a-z, 0-9, '.', '_', '-', the first a letter or digit".to_owned(),
        Kind::Text(what) => what.to_owned(),
        Kind::Texts(what) => format!("a list, each {what}"),
        Kind::Word(words) => match words().as_slice() {
            [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
            words => words.join(", "),
        },
        Kind::Flag => "true or false".to_owned(),
        Kind::Span => "a length of time with its unit: s, m, h or d".to_owned(),
        Kind::Numbers(what) => format!("a list of numbers: {what}"),
        Kind::Free(what) => format!("a table: {what}"),
        Kind::Table(_) => "a table".to_owned(),
        Kind::Tables(table) if table.title.starts_with("[[") => format!("a table {} for each", table.title),
        Kind::Tables(_) => "a list of tables".to_owned(),
        Kind::One(tables) => format!("one of: {}", words(tables)),
        Kind::Entries(tables) => format!("a list of entries, each one of: {}", words(tables)),
        Kind::Drivers => {
            let names: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
            format!("a list of entries, each one of: {}", names.join(", "))
        }
    }
}

/// Adds a text in lines of [`WIDTH`], each indented.
fn wrap(text: &mut String, indent: usize, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        }
        let space = if column == 0 { indent } else { 1 };
        text.push_str(&" ".repeat(space));
        text.push_str(word);
        column += space + length;
    }
    text.push('\n');
}

/// The manual page.
pub(super) fn page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["omens.toml", "5", "", concat!("omens ", env!("CARGO_PKG_VERSION")), ""]);
    page.control("SH", ["NAME"]);
    page.text([roman("omens.toml - the settings of omens")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([roman("/etc/omens/omens.toml, /etc/omens/omens.d/*.toml, /etc/omens/policies/certificates/*.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman("The settings are TOML. "), bold("omens check-config"), roman(" says what is wrong in them.")]);
    for section in all() {
        let heading = heading(&section);
        page.control("SH", [if heading.starts_with('[') { heading } else { heading.to_uppercase() }.as_str()]);
        page.text([roman(plain(section.table.about))]);
        for key in section.table.keys {
            page.control("TP", []);
            page.text([bold(key.name), roman(" = "), italic(key.example)]);
            page.text([roman(format!("{}. {}", plain(&facts(key)), plain(key.about)))]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("omens"), roman("(1), "), bold("omens-words"), roman("(7)")]);
    page.render()
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_all_commands_may_stand_before_help() {
        let asked = |words: &str| asked(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        for (words, expected) in [
            ("omens help settings", Some(None)),
            ("omens --config /etc/o.toml help settings uri", Some(Some("uri".to_owned()))),
            ("omens --config=/etc/o.toml -v --color never help settings", Some(None)),
            ("omens --config help settings", None),
            ("omens help renew", None),
            ("omens help settings --json uri -v", Some(Some("uri".to_owned()))),
            ("omens renew help settings", None),
        ] {
            assert_eq!(asked(words), expected, "{words}");
        }
    }

    #[test]
    fn every_key_stands_in_the_text_and_on_the_page() {
        let (text, page) = (text(""), page());
        let sections = all();
        assert!(sections.len() > 30, "{}", sections.len());
        for section in &sections {
            assert!(text.contains(&format!("{}\n", heading(section))), "{}", heading(section));
            for key in section.table.keys {
                assert!(text.contains(&format!("\n  {} = {}\n", key.name, key.example)), "{}", path(section, key));
                assert!(page.contains(&format!("\\fB{}\\fR = ", key.name)), "{}", path(section, key));
                assert!(key.about.len() > 3 && key.about.ends_with(['.', ';']), "{}: {}", path(section, key), key.about);
            }
        }
        assert!(text.lines().filter(|line| !line.contains(" = ")).all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn one_key_or_one_table_is_found_by_the_end_of_its_way() {
        let ttl = text("certificate.ttl");
        assert!(ttl.starts_with("[[certificate]]\n") && ttl.contains("  ttl = \"24h\"\n"), "{ttl}");
        assert!(ttl.contains("s, m, h or d; required") && !ttl.contains("  role = "), "{ttl}");
        let nginx = text("nginx");
        assert!(nginx.contains("certificate.reload.nginx\n") && nginx.contains("  conf = ") && !nginx.contains("spire"), "{nginx}");
        assert!(text("verify").contains("certificate.verify.tls.client\n"));
        assert_eq!(text("titel"), "");
        assert!(text("profile").contains("  purpose = \"server\"\n"));
    }
}
