//! The form of settings that lie on another host: keys, types, lengths of time, names, closed sets of words and kinds of entries, by the
//! descriptions that the parser reads by. It must never open a file: what they name is on that host.

use std::path::PathBuf;

use super::files::{self, Merged};
use super::in_order;
use super::keys::{Key, Kind, Otherwise, Table};
use super::service::Drivers;
use super::shape::{Errors, Shape, Wrong, boolean, list, one_of, parsed, quoted, tagged, wrong_type};
use super::tables;
use super::tree::{self, Node, Value};
use super::value;
use crate::model::code::Code;
use crate::model::report::SettingsError;

/// A file of settings.
#[derive(Clone, Debug)]
pub struct Written {
    /// As that host names it.
    pub file: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What is wrong with the form of the main file and those of `omens.d`, in the order of the files and their lines. `has_profile` says
/// whether that host knows a profile.
#[must_use]
pub fn faults(main: Written, drop_ins: Vec<Written>, drivers: Drivers, has_profile: &dyn Fn(&str) -> bool) -> Vec<SettingsError> {
    let errors = Errors::default();
    let name = main.file.display().to_string();
    let document = |written: Written| {
        let mut document = tree::parse(&written.file.display().to_string(), written.bytes);
        errors.extend(std::mem::take(&mut document.errors));
        document
    };
    let main = document(main);
    let mut merged = Merged { start: main.start, entries: main.entries, broken: main.broken, hides: false };
    drop_ins.into_iter().for_each(|written| files::join(&mut merged, document(written), &errors));
    let form = Form { drivers };
    form.keys(Shape::new(&tables::ROOT, &merged.start, &merged.entries, &errors), &tables::ROOT);
    profiles(&merged, has_profile, &errors);
    in_order(errors.into_inner(), &name, merged.broken)
}

/// The profiles that certificates name.
fn profiles(merged: &Merged, has_profile: &dyn Fn(&str) -> bool, errors: &Errors) {
    let lists = merged.entries.iter().filter(|entry| entry.key == files::CERTIFICATE);
    let all = lists.flat_map(|entry| if let Value::Array(items) = &entry.node.value { items.as_slice() } else { &[] });
    for certificate in all {
        let Value::Table(entries) = &certificate.value else { continue };
        let named = entries.iter().find(|entry| entry.key == "profile").map(|entry| &entry.node);
        let Some(Node { value: Value::Text(name), place, .. }) = named else { continue };
        if !has_profile(name) {
            let wrong = Wrong::new(Code::Profile, format!("there is no profile {} that can be read", quoted(name)));
            errors.at(
                place,
                wrong.suggest("name one that is there, or mend its file: omens check-config on that host says what is wrong in it"),
            );
        }
    }
}

/// How values are read.
struct Form {
    drivers: Drivers,
}

impl Form {
    /// Every key of a table, and what it does not have.
    fn keys<'a>(&self, shape: Shape<'a>, table: &'static Table) {
        for key in table.keys {
            let read = |node: &'a Node, errors: &'a Errors| self.value(key, node, errors);
            if key.otherwise == Otherwise::Required {
                shape.required(key.name, read)
            } else {
                shape.or(key.name, (), read)
            };
        }
        shape.finish();
    }

    fn table<'a>(&self, table: &'static Table, node: &'a Node, errors: &'a Errors) -> Option<()> {
        Shape::of(table, node, errors).map(|shape| self.keys(shape, table))
    }

    /// An entry of one of several kinds.
    fn entry<'a>(&self, what: &str, tables: &[&'static Table], node: &'a Node, errors: &'a Errors) -> Option<()> {
        let known: Vec<&'static str> = tables.iter().map(|table| table.word()).collect();
        let (tag, inner) = tagged(what, &known, &[], node, errors)?;
        tables.iter().find(|table| table.word() == tag).and_then(|table| self.table(table, inner, errors))
    }

    fn driver<'a>(&self, node: &'a Node, errors: &'a Errors) -> Option<()> {
        let known: Vec<&'static str> = self.drivers.iter().map(|kind| kind.name).collect();
        let (tag, inner) = tagged("reload driver", &known, &[], node, errors)?;
        self.drivers.iter().find(|kind| kind.name == tag).and_then(|kind| self.table(kind.table, inner, errors))
    }

    /// `None` where the value is wrong, which is said then.
    fn value<'a>(&self, key: &Key, node: &'a Node, errors: &'a Errors) -> Option<()> {
        let text = |node: &'a Node, errors: &'a Errors| parsed(|_| Ok(()))(node, errors);
        let each = |items: Option<Vec<()>>| items.map(|_| ());
        match key.kind {
            Kind::Drivers => each(list(|node, errors| self.driver(node, errors))(node, errors)),
            Kind::Entries(tables) => {
                each(list(|node, errors| self.entry(&format!("kind of {}", key.name), tables, node, errors))(node, errors))
            }
            Kind::One(tables) => self.entry(&format!("kind of {}", key.name), tables, node, errors),
            Kind::Flag => boolean(node, errors).map(|_| ()),
            Kind::Free(_) => {
                if let Value::Table(_) = node.value {
                    Some(())
                } else {
                    wrong_type("a table", node, errors)
                }
            }
            Kind::Name => parsed(value::cert_name)(node, errors).map(|_| ()),
            Kind::Numbers(_) => {
                if let Value::Array(_) = node.value {
                    Some(())
                } else {
                    wrong_type("an array", node, errors)
                }
            }
            Kind::Span => parsed(value::duration)(node, errors).map(|_| ()),
            Kind::Table(table) => self.table(table, node, errors),
            Kind::Tables(table) => each(list(|node, errors| self.table(table, node, errors))(node, errors)),
            Kind::Text(_) => text(node, errors),
            Kind::Texts(_) => each(list(text)(node, errors)),
            Kind::Word(words) => {
                let words: Vec<(&str, ())> = words().into_iter().map(|word| (word, ())).collect();
                one_of(&words)(node, errors)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::TOP_LEVEL;

    fn said(main: &str, more: &[&str]) -> Vec<String> {
        let written = |file: &str, text: &str| Written { file: file.into(), bytes: text.as_bytes().to_vec() };
        let more = more.iter().map(|text| written("/etc/omens/omens.d/more.toml", text)).collect();
        let errors = faults(written("/etc/omens/omens.toml", main), more, &[], &|name| name == "tls-server");
        errors
            .iter()
            .map(|error| format!("{}:{} {}", error.file.rsplit('/').next().unwrap_or_default(), error.line.unwrap_or_default(), error.text))
            .collect()
    }

    const SOUND: &str = "[host]\nname = \"a.example\"\n[trust]\nanchor = \"/root.pem\"\nanchor_sha256 = \"00\"\n[openbao]\n\
                         address = \"https://b.example\"\nmount = \"pki\"\nlogin = [{ token = { token = \"credential:t\" } }]\n\
                         [[certificate]]\nname = \"a\"\nprofile = \"tls-server\"\nrole = \"a\"\nttl = \"24h\"\ncommon_name = \"a.example\"\n";

    #[test]
    fn keys_types_lengths_of_time_and_kinds_are_judged_without_opening_a_file() {
        assert_eq!(said(SOUND, &[]), Vec::<String>::new());
        for (from, to, expected) in [
            ("profile =", "profil =", "omens.toml:12 [[certificate]] has no key \"profil\""),
            ("name = \"a.example\"", "name = true", "omens.toml:2 expected a string, found a boolean"),
            ("\"24h\"", "\"24x\"", "omens.toml:14 "),
            ("tls-server", "tls-sever", "omens.toml:12 there is no profile \"tls-sever\" that can be read"),
            ("token = { token", "tocken = { token", "omens.toml:9 "),
            ("[openbao]", "[opanbao]", "omens.toml:6 "),
            ("common_name", "dns = \"b\"\ncommon_name", "omens.toml:15 expected an array, found a string"),
            ("common_name", "key = { algorithm = \"ec-p265\" }\ncommon_name", "omens.toml:15 expected one of ec-p256, "),
            ("common_name", "key = { keep = \"flie\" }\ncommon_name", "omens.toml:15 expected one of "),
            ("name = \"a\"", "name = \"A\"", "omens.toml:11 a name starts with"),
            ("common_name", "renamed_from = \"a/b\"\ncommon_name", "omens.toml:15 a name consists of"),
            ("common_name", "install = [{ dir = \"/x\", as = \"move\" }]\ncommon_name", "omens.toml:15 expected one of link, copy"),
            (
                "common_name",
                "verify = [{ tls = { address = \"a:1\", starttls = \"SMTP\" } }]\ncommon_name",
                "omens.toml:15 expected one of smtp,",
            ),
            ("common_name", "reload = [{ ngnix = {} }]\ncommon_name", "omens.toml:15 "),
        ] {
            let found = said(&SOUND.replace(from, to), &[]);
            assert!(found.iter().any(|line| line.starts_with(expected)), "{to}: {found:?}");
        }
        let more = said(SOUND, &["[[certificate]]\nname = \"b\"\n"]);
        assert!(more.iter().any(|line| line.starts_with("more.toml:1 [[certificate]] has no \"profile\"")), "{more:?}");
        assert!(said("[host\n", &[]).iter().any(|line| line.starts_with("omens.toml:1 ")));
    }

    /// What the parser takes as an example this takes too.
    #[test]
    fn every_example_of_the_descriptions_is_sound() {
        fn each(table: &'static Table, form: &Form) {
            for key in table.keys {
                let text = format!("{} = {}\n", key.name, key.example);
                let document = tree::parse("/x", text.clone().into_bytes());
                let errors = Errors::default();
                // The short examples of whole tables leave most keys out, and no drivers are known here.
                if !matches!(key.kind, Kind::Table(_) | Kind::Tables(_) | Kind::Drivers) {
                    assert!(document.entries.iter().all(|entry| form.value(key, &entry.node, &errors).is_some()), "{text}");
                }
                assert_eq!(errors.into_inner(), [], "{text}");
                match key.kind {
                    Kind::Table(inner) | Kind::Tables(inner) => each(inner, form),
                    Kind::Entries(all) | Kind::One(all) => all.iter().for_each(|inner| each(inner, form)),
                    _ => {}
                }
            }
        }
        assert_eq!(tables::ROOT.title, TOP_LEVEL);
        each(&tables::ROOT, &Form { drivers: &[] });
    }
}
