//! Choices out of a stream of numbers.

pub use crate::random::Random;

pub fn pick<'a, T: ?Sized>(random: &mut Random, all: &[&'a T]) -> &'a T {
    all[random.below(all.len())]
}

/// Once in `of`.
pub fn once(random: &mut Random, of: usize) -> bool {
    random.below(of) == 0
}

/// A number from `low` to `high`.
pub fn number(random: &mut Random, low: usize, high: usize) -> usize {
    low + random.below(high - low + 1)
}

/// One letter of a word another, gone, twice, or changed with its neighbour.
pub fn misspelled(random: &mut Random, word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = random.below(letters.len());
    match random.below(4) {
        0 => letters[at] = if letters[at] == 'e' { 'a' } else { 'e' },
        1 if letters.len() > 1 => drop(letters.remove(at)),
        2 if at > 0 => letters.swap(at - 1, at),
        _ => letters.insert(at, letters[at]),
    }
    letters.into_iter().collect()
}
