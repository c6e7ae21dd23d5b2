//! The word that was meant where another stands, and all that there are.

use crate::model::text::one_line;

/// Of a list longer than this only the first are named.
const NAMED: usize = 20;

/// The word among `known` that is nearest to `word`, where one is near at all.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&word, candidate);
    let best = known.iter().copied().min_by_key(distance)?;
    let near = distance(&best) <= 1 + word.chars().count().min(12) / 3 || (word.len() > 2 && (best.contains(&word) || word.contains(best)));
    near.then_some(best)
}

/// What would be right in place of `word`: the nearest, and all that there are, unless they are many.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(word, known) {
        Some(best) if known.len() > FEW => format!("did you mean \"{best}\"? `omens help settings` has all"),
        Some(best) => format!("did you mean \"{best}\"? known here: {all}"),
        None => format!("known here: {all}"),
    }
}

/// So many beside the one that was meant tell more than they hide it.
const FEW: usize = 8;

/// The same of words that a server has: `of` leads over to all that there are.
pub(crate) fn instead_at(word: &str, known: &[&str], of: &str) -> String {
    let safe: Vec<String> = known.iter().take(NAMED).map(|name| one_line(name, 80)).collect();
    let more = if known.len() > NAMED { format!(" and {} more", known.len() - NAMED) } else { String::new() };
    let all = if safe.is_empty() { format!("{of} none yet") } else { format!("{of} {}{more}", safe.join(", ")) };
    nearest(word, known).map_or(all.clone(), |best| format!("did you mean \"{}\"? {all}", one_line(best, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_a_long_list_is_cut() {
        let expected = "did you mean \"infrastructure\"? pki has db, infrastructure";
        assert_eq!(instead_at("infrastructur", &["db", "infrastructure"], "pki has"), expected);
        assert_eq!(instead_at("x", &[], "pki has"), "pki has none yet");
        let many: Vec<String> = (0..25).map(|number| format!("role-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(instead_at("something-else", &many, "pki has").ends_with("role-19 and 5 more"));
    }
}
