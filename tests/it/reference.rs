//! The reference of the settings against their parser: each knows what the other knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use omens::config::keys::{Kind, Otherwise};
use omens::config::reference::{PROFILE, ROOT, Section, sections};
use omens::model::report::SettingsError;
use omens::steps::service::DRIVERS;

use crate::settings::Etc;

/// A value that no setting takes.
const NO_VALUE: &str = "1979-05-27";

/// One key of a table as a whole file, all in one line.
fn file(section: &Section, key: &str, value: &str) -> String {
    let mut text = format!("{key} = {value}");
    for step in section.way.iter().rev() {
        let entry = step.entry.map_or_else(|| format!("{{ {text} }}"), |entry| format!("{{ {entry} = {{ {text} }} }}"));
        let is_list = matches!(step.kind, Kind::Tables(_) | Kind::Entries(_) | Kind::Drivers);
        text = if is_list { format!("{} = [ {entry} ]", step.key) } else { format!("{} = {entry}", step.key) };
    }
    format!("{text}\n")
}

/// What is said of a file of the settings, or of a profile, in which one key is set to this.
fn said(etc: &Etc, section: &Section, is_profile: bool, key: &str, value: &str) -> Vec<SettingsError> {
    let text = file(section, key, value);
    if is_profile {
        etc.write("profile.toml", &text);
        omens::config::profile(etc.path("profile.toml").to_str().unwrap(), Path::new("/nonexistent")).expect_err("a part of a profile")
    } else {
        etc.write("omens.toml", &text);
        etc.load().expect_err("a part of settings")
    }
}

/// The errors at this key, or below it.
fn at<'a>(errors: &'a [SettingsError], key: &str) -> Vec<&'a SettingsError> {
    let names = |path: &str| path.split(['.', '[', ']']).any(|word| word == key);
    errors.iter().filter(|error| error.key.as_deref().is_some_and(names)).collect()
}

#[test]
fn every_key_of_the_reference_is_read_by_the_parser_and_its_example_and_default_are_taken() {
    let etc = Etc::new();
    let roots = [(&ROOT, false), (&PROFILE, true)];
    let all = roots.iter().flat_map(|(root, is_profile)| sections(root, DRIVERS).into_iter().map(move |section| (section, *is_profile)));
    let mut count = 0;
    for (section, is_profile) in all {
        for key in section.table.keys {
            let name = format!("{} of {:?}", key.name, section.path());
            let refused = said(&etc, &section, is_profile, key.name, NO_VALUE);
            let refused = at(&refused, key.name);
            assert!(
                refused.iter().any(|error| ["wrong-type", "bad-value"].contains(&error.code.as_str())),
                "{name} is not read: {refused:?}"
            );

            let default = if let Otherwise::Value(value) = key.otherwise { Some(value) } else { None };
            for value in std::iter::once(key.example).chain(default) {
                let taken = said(&etc, &section, is_profile, key.name, value);
                let wrong = ["bad-value", "syntax", "unknown-key", "unknown-profile", "wrong-type"];
                let wrong: Vec<_> = at(&taken, key.name)
                    .into_iter()
                    .filter(|error| {
                        wrong.contains(&error.code.as_str())
                            && !error.text.starts_with("expected where")
                            && !error.text.contains(" says nothing without ")
                    })
                    .collect();
                // What has to be there beside it, and files that this host has not, are no fault of the value.
                assert!(wrong.is_empty(), "{name} = {value}: {wrong:?}");
            }
            count += 1;
        }
    }
    assert!(count > 120, "{count}");
}

/// Every `title: "…"` of a description in the sources.
fn titles(directory: &Path, titles: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            self::titles(&path, titles);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let tables = text.split(": Table =").skip(1).filter_map(|table| table.split_once("title: ")?.1.split_once(','));
            titles.extend(tables.map(|(title, _)| title.replace("\\\"", "'").trim_matches('"').replace('\'', "\"")));
        }
    }
}

#[test]
fn every_table_that_a_parser_reads_by_is_in_the_reference() {
    let mut written = BTreeSet::new();
    titles(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut written);
    written.remove("TOP_LEVEL");
    let told = sections(&ROOT, DRIVERS).into_iter().skip(1).chain(sections(&PROFILE, DRIVERS));
    assert_eq!(told.map(|section| section.table.title.to_owned()).collect::<BTreeSet<_>>(), written);
}

#[test]
fn a_key_below_the_wrong_header_is_said_as_that() {
    let head = crate::settings::HEAD.replace("DIR/policies", "/etc/omens/policies");
    let certificate = crate::settings::CERTIFICATE;
    let of = |text: String| {
        let etc = Etc::new();
        etc.write("omens.toml", &text);
        etc.errors()
    };
    let line = |text: &str, word: &str| text.lines().position(|line| line.starts_with(word)).unwrap() + 1;

    let text = format!("{head}{certificate}[certificate.key]\nkeep = \"file\"\nreload = [{{ nginx = {{ unit = \"nginx.service\" }} }}]\n");
    let (at, header) = (line(&text, "reload"), line(&text, "[certificate.key]"));
    let expected = format!(
        "{at}:1 unknown-key: \"reload\" is a key of [[certificate]], and stands below [certificate.key] (omens.toml:{header}:1) | a header holds all \
         that follows it, up to the next one: move \"reload\" above [certificate.key]"
    );
    assert_eq!(of(text), [expected]);

    let text = format!("{head}{certificate}[metrics]\ntextfile = \"/x/omens.prom\"\ngroup = \"root\"\n");
    let expected = format!(
        "{}:1 unknown-key: \"group\" is a key of [[certificate]], and stands below [metrics] (omens.toml:{}:1) | a header holds all that follows it, \
         up to the next one: move \"group\" below [[certificate]]",
        line(&text, "group"),
        line(&text, "[metrics]")
    );
    assert_eq!(of(text), [expected]);

    let errors = of(format!("mount = \"pki_int\"\n{head}{certificate}"));
    assert!(errors[0].contains("\"mount\" is a key of [openbao], and stands above the first header"), "{errors:?}");
    // A misspelled one is still that, and one that many tables have is nobody's.
    let errors = of(format!("{head}{certificate}nmae = \"x\"\naddress = \"x\"\n"));
    assert!(errors[0].contains("certificate \"nginx\" has no key \"nmae\" | did you mean \"name\"?"), "{errors:?}");

    // One pair of brackets where two belong: one message.
    let single = of(format!("{head}{}", certificate.replace("[[certificate]]", "[certificate]")));
    assert_eq!(single.len(), 1, "{single:#?}");
    assert!(
        single[0].ends_with("expected [[certificate]], found a table | write [[certificate]] above each certificate, with two brackets")
    );
}

/// The page of the settings (`config/settings.md`), by its headings.
fn page() -> BTreeMap<String, String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/settings.md")).unwrap();
    let parts = text.split("\n## ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(heading, text)| (heading.to_owned(), text.to_owned())).collect()
}

/// What stands in marks for code.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).filter(|word| !word.is_empty())
}

/// The cells of a part's table, without its head.
fn rows(part: &str) -> Vec<Vec<&str>> {
    let lines = part.lines().filter(|line| line.starts_with("| ")).skip(1);
    lines.map(|line| line.trim_matches('|').split(" | ").collect()).collect()
}

#[test]
fn the_tables_of_the_page_have_the_keys_of_the_parser_and_no_other() {
    let page = page();
    let all = sections(&ROOT, DRIVERS);
    let host = ["host", "paths", "trust", "openbao", "defaults", "tpm", "attestation"];

    let mut told = BTreeSet::new();
    for row in rows(&page["Host"]) {
        let mut table = "";
        for span in spans(row[0]) {
            let key = span.strip_prefix('[').and_then(|rest| rest.split_once("] "));
            let key = key.map_or(span, |(named, key)| {
                table = named;
                key
            });
            told.insert(format!("{table}.{key}"));
        }
    }
    let own = all.iter().filter(|section| host.contains(&section.path().as_str()));
    let known: BTreeSet<String> =
        own.flat_map(|section| section.table.keys.iter().map(move |key| format!("{}.{}", section.path(), key.name))).collect();
    assert_eq!(told, known, "the table below \"Host\"");

    let told: BTreeSet<&str> = rows(&page["Certificate"]).into_iter().flat_map(|row| spans(row[0])).collect();
    let certificate = all.iter().find(|section| section.path() == "certificate").unwrap();
    let known: BTreeSet<&str> = certificate.table.keys.iter().map(|key| key.name).collect();
    assert_eq!(told, known, "the table below \"Certificate\"");

    let mut drivers = BTreeSet::new();
    for row in rows(&page["Services"]) {
        let driver = spans(row[0])[0];
        let mut told: BTreeSet<&str> =
            spans(row[1]).into_iter().filter(|span| !span.starts_with('"')).filter_map(|span| words(span).next()).collect();
        if row[1].contains("RUNS") {
            told.extend(["unit", "pid", "start", "stop"]);
        }
        let table = DRIVERS.iter().find(|known| known.name == driver).unwrap_or_else(|| panic!("there is no driver {driver}")).table;
        assert_eq!(told, table.keys.iter().map(|key| key.name).collect(), "the driver {driver}");
        drivers.insert(driver);
    }
    assert_eq!(drivers, DRIVERS.iter().map(|driver| driver.name).collect(), "the table below \"Services\"");
}

#[test]
fn every_key_of_a_table_within_another_is_on_its_part_of_the_page() {
    let page = page();
    let parts = |root: &str| match root {
        "certificate" => vec!["Certificate", "Install", "Windows", "Services"],
        "metrics" => vec!["Metrics"],
        "notify" => vec!["Notices"],
        _ => vec!["Host"],
    };
    let of_settings = sections(&ROOT, DRIVERS).into_iter().skip(1);
    let of_settings = of_settings.map(|section| (parts(section.way[0].key), section));
    let of_profiles = sections(&PROFILE, DRIVERS).into_iter().map(|section| (vec!["Profile"], section));
    for (parts, section) in of_settings.chain(of_profiles) {
        let told: BTreeSet<&str> = parts.iter().flat_map(|part| spans(&page[*part])).flat_map(words).collect();
        let missing: Vec<&str> = section.table.keys.iter().map(|key| key.name).filter(|key| !told.contains(key)).collect();
        assert!(missing.is_empty(), "{:?} of {:?} is not told below {parts:?}", missing, section.path());
    }
}
