//! The manual page omens-words(7): every word for machines with what it means, made from the enums that print them.

use clap_mangen::roff::{Roff, bold, roman};

use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::Stage;
use crate::model::finding::Severity;
use crate::model::reason::ReasonCode;
use crate::model::state::Proof;

/// The file of the page.
pub(super) const PAGE: &str = "omens-words.7";

/// One section: a closed set of words.
struct Section {
    title: &'static str,
    about: &'static str,
    words: Vec<Word>,
}

/// A word with its meaning.
struct Word {
    word: &'static str,
    meaning: &'static str,
}

/// A section from an enum that has `ALL`, `as_str` and `meaning`.
macro_rules! section {
    ($title:literal, $set:ident, $about:literal) => {
        Section {
            title: $title,
            about: $about,
            words: $set::ALL.iter().map(|one| Word { word: one.as_str(), meaning: one.meaning() }).collect(),
        }
    };
}

fn sections() -> [Section; 6] {
    [
        section!("OUTCOMES", Outcome, "What became of a certificate in a run: `outcome` in reports and in the ledger."),
        section!(
            "REASONS",
            ReasonCode,
            "Why a certificate is due, or not: `reasons` in plan, status and reports, in the order in which they count."
        ),
        section!("PROOFS", Proof, "How it is known that a generation is in use: `proof`."),
        section!("STAGES", Stage, "Where on the way of a renewal something happened: `stage` of errors and ledger lines."),
        section!("CODES", Code, "What an error or a warning is about: `code`."),
        section!("SEVERITIES", Severity, "How bad a finding is: `severity`."),
    ]
}

/// The page.
pub(super) fn page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["omens-words", "7", "", concat!("omens ", env!("CARGO_PKG_VERSION")), ""]);
    page.control("SH", ["NAME"]);
    page.text([roman("omens-words - the words for machines in what omens prints and keeps, and what they mean")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "They are stable: words are added, none changes its meaning or goes. A program should take a word that it does not know for a \
         failure, where it has to decide. `omens schema NAME` prints the JSON schema of the documents that they stand in.",
    )]);
    for section in sections() {
        page.control("SH", [section.title]);
        page.text([roman(section.about.replace('`', ""))]);
        for Word { word, meaning } in section.words {
            page.control("TP", []);
            page.text([bold(word)]);
            page.text([roman(plain(meaning))]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("omens"), roman("(1), "), bold("omens.toml"), roman("(5)")]);
    page.render()
}

/// A comment of the code as people read it: without the marks of code and links.
fn plain(meaning: &str) -> String {
    let mut text = String::new();
    let mut rest = meaning;
    // [text](target) becomes text.
    while let Some((before, behind)) = rest.split_once('[') {
        text.push_str(before);
        let (shown, after) = behind.split_once(']').unwrap_or((behind, ""));
        text.push_str(shown);
        rest = after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, after)| after);
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an enum as serde knows them: it names them all when it meets another one.
    fn known_to_serde<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let Err(error) = serde_json::from_str::<T>("\"no such word\"") else { panic!("a word that there is not") };
        error.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_word_that_is_printed_or_read_is_on_the_page_with_a_sentence() {
        let page = page();
        let words = [
            known_to_serde::<Outcome>(),
            known_to_serde::<ReasonCode>(),
            known_to_serde::<Proof>(),
            known_to_serde::<Stage>(),
            Code::ALL.iter().map(|code| code.as_str().to_owned()).collect(),
            known_to_serde::<Severity>(),
        ];
        for (section, words) in sections().iter().zip(words) {
            assert!(words.len() > 3, "{}: {words:?}", section.title);
            assert_eq!(section.words.iter().map(|word| word.word).collect::<Vec<_>>(), words, "{}", section.title);
            for Word { word, meaning } in &section.words {
                assert!(page.contains(&format!("\\fB{}\\fR\n", word.replace('-', "\\-"))), "{word}");
                assert!(meaning.len() > 5 && meaning.ends_with('.') && !meaning.contains('\n'), "{word}: {meaning}");
            }
        }
    }

    #[test]
    fn marks_of_code_and_links_do_not_come_to_people() {
        assert_eq!(plain("of `validate` ([Limits](crate::cli#limits)) in [x]."), "of validate (Limits) in x.");
    }
}
