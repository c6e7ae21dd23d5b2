//! The mistakes that are made on a command line, each with the whole text that the binary prints: fixtures/usage.txt, to be read as whoever
//! made them would. None is left without a word of what to do.

use crate::web::issued;

const PAGE: &str = "fixtures/usage.txt";

/// What is wrong, and the words behind `omens`, with blanks between them.
const MISTAKES: [(&str, &str); 46] = [
    ("A command that is misspelled", "renw --all"),
    ("A page of the manual for a command", "settings"),
    ("A word that is nothing alike", "frobnicate"),
    ("No command, but an option", "-v"),
    ("Help about a command that there is not", "help rnew"),
    ("Help about more than a command", "help renew web"),
    ("An option that is misspelled", "renew --al"),
    ("An option that nothing is like", "renew --frobnicate"),
    ("A short option that there is not", "renew --all -x"),
    ("A short option where there is a long one", "-c /etc/omens/omens.toml plan"),
    ("An option before its command", "--all renew"),
    ("A misspelled option before its command", "--al renew"),
    ("An option without any command", "--all"),
    ("A misspelled option of every command", "--jsn plan"),
    ("Nothing to renew", "renew"),
    ("All and one of them", "renew --all web"),
    ("A value that is missing", "renew --all --wait"),
    ("A value where none is taken", "renew --all=yes"),
    ("A time without its unit", "renew --all --wait 5"),
    ("A name in capitals", "renew Web"),
    ("A name that is a path", "status --due ../x"),
    ("A certificate that there is not", "renew wbe"),
    ("Another certificate that there is not", "rollback mail"),
    ("A word where none is taken", "status web"),
    ("One word too many", "man /tmp/pages more"),
    ("A word of another list", "status --format jsn"),
    ("A severity that there is not", "chain-audit --fail-on fatal"),
    ("Two options that exclude each other", "attest --once --print-policy"),
    ("A schedule that is none", "run --cron @daily"),
    ("The same option twice", "renew --all --wait 5s --wait 6s"),
    ("A reason that is none", "renew --all --break-glass because"),
    ("An endpoint without a port", "probe openbao.example"),
    ("A key without its certificate", "probe openbao.example:8200 --key /etc/ssl/client.key"),
    ("No endpoint", "probe"),
    ("A finding that is misspelled", "explain name.not-coverd"),
    ("A document that there is not", "schema statsu"),
    ("A shell that there is not", "completions fsh"),
    ("A time below zero", "renew --all --wait -1h"),
    ("A time below zero behind its option", "renew --all --wait=-1h"),
    ("A time beyond all bounds", "renew --all --wait 99999999999999999999d"),
    ("A port that there is not", "probe openbao.example:99999"),
    ("A schedule of one word", "run --cron x"),
    ("An option behind the end of options", "status --due -- --all"),
    ("PCRs that are no numbers", "attest --print-policy --pcrs seven"),
    ("PCRs that are left empty", "attest --print-policy --pcrs="),
    ("PCRs where no policy is printed", "attest --once --pcrs 1"),
];

#[test]
fn what_is_mistyped_is_said_with_what_to_type_instead() {
    let (_hostile, estate) = issued();
    let mut page = String::new();
    for (mistake, line) in MISTAKES {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = estate.plain(&arguments);
        assert!(ended.code == 2 || line.starts_with("status --due") && ended.code == 255, "{line}: {ended:?}");
        assert_eq!(ended.stdout, "", "{line}");
        let is_help =
            |hint: &str| ["`omens", "did you mean ", "known here: ", "the nearest id is "].iter().any(|words| hint.contains(words));
        let hints = ended.stderr.lines().filter(|line| line.strip_prefix("  hint: ").is_some_and(is_help)).count();
        assert_eq!((hints, ended.stderr.matches("error: ").count()), (1, 1), "{line}: {}", ended.stderr);
        page.push_str(&format!("# {mistake}\n$ omens {line}\n{}exit {}\n\n", ended.stderr, ended.code));
        // The document says the same.
        let document = estate.omens(&arguments);
        let said = document.json["error"]["text"].as_str().unwrap_or_else(|| panic!("{line}: {document}"));
        assert!(ended.stderr.contains(said) && document.json["error"]["hint"].is_string(), "{line}: {document}");
    }
    let expected = std::fs::read_to_string(PAGE).unwrap_or_default();
    if page != expected {
        let seen = std::env::temp_dir().join("usage.txt");
        std::fs::write(&seen, &page).unwrap();
        let differs = page.lines().zip(expected.lines()).find(|(seen, expected)| seen != expected);
        panic!("the texts are others than in {PAGE}, see {}: {differs:?}", seen.display());
    }
}
