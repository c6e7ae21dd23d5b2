//! A file that is only ever appended to, and must not grow for ever: past a size it becomes `NAME.1`, what was that `NAME.2`, and so on.
//! Nothing is copied or compressed, so that a cut at any moment leaves every line in one of the files.
#![expect(clippy::disallowed_methods, reason = "a door: looks at the size of a file and renames it")]

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::dir::{Dir, DiskError};
use super::write;

/// What was the file `age` rotations ago; 0 is the one that is written to.
#[must_use]
pub fn aged(name: &str, age: usize) -> String {
    if age == 0 { name.to_owned() } else { format!("{name}.{age}") }
}

/// Puts the file aside where it has reached `limit` bytes; `keep` old ones stay, the oldest goes. Whoever has it open goes on writing to
/// the same file under its new name. Only one process may do this at a time.
///
/// # Errors
/// What the system says. What was renamed until then stays renamed, and nothing is lost.
pub fn rotate(dir: &Dir, name: &str, limit: u64, keep: usize) -> Result<(), DiskError> {
    let size = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => u64::try_from(stat.st_size).unwrap_or(0),
        Err(Errno::NOENT) => 0,
        Err(errno) => return Err(DiskError::new("look at", dir.join(name), errno)),
    };
    if size < limit {
        return Ok(());
    }
    // From the oldest on: each rename replaces what the one before has moved on. After a cut in between a name is missing, which costs
    // nothing: up to it is where the next one has to go.
    let gap = gap(dir, name, keep)?;
    for age in (0..gap).rev() {
        write::rename(dir, &aged(name, age), &aged(name, age + 1))?;
    }
    write::sync(dir)
}

/// The first age that no file has, or the oldest, which is replaced.
fn gap(dir: &Dir, name: &str, keep: usize) -> Result<usize, DiskError> {
    for age in 1..keep {
        if dir.kind(&aged(name, age))?.is_none() {
            return Ok(age);
        }
    }
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies in the files, the newest first; `-` where one is missing.
    fn files(dir: &std::path::Path) -> Vec<String> {
        (0..5).map(|age| std::fs::read_to_string(dir.join(aged("l", age))).unwrap_or_else(|_| "-".to_owned())).collect()
    }

    fn rotated(before: [&str; 5]) -> Vec<String> {
        let temp = tempfile::tempdir().unwrap();
        for (age, text) in before.iter().enumerate().filter(|(_, text)| **text != "-") {
            std::fs::write(temp.path().join(aged("l", age)), text).unwrap();
        }
        rotate(&Dir::open(temp.path()).unwrap().unwrap(), "l", 4, 3).unwrap();
        files(temp.path())
    }

    #[test]
    fn what_is_large_becomes_the_first_old_one_and_the_oldest_goes() {
        for (before, after) in [
            (["-", "-", "-", "-", "-"], ["-", "-", "-", "-", "-"]),
            (["abc", "1", "2", "3", "-"], ["abc", "1", "2", "3", "-"]),
            (["abcd", "-", "-", "-", "-"], ["-", "abcd", "-", "-", "-"]),
            (["abcd", "1", "2", "3", "-"], ["-", "abcd", "1", "2", "-"]),
            // A file of somebody else's with the next number is left alone.
            (["abcd", "1", "2", "3", "4"], ["-", "abcd", "1", "2", "4"]),
        ] {
            assert_eq!(rotated(before), after, "{before:?}");
        }
    }

    #[test]
    fn a_cut_between_two_renames_loses_nothing_at_the_next_rotation() {
        // What the renames of ["abcd", "1", "2", "3"] leave, one after the other: the oldest is gone, everything else is somewhere.
        for (cut, after) in [
            (["abcd", "1", "-", "2", "-"], ["-", "abcd", "1", "2", "-"]),
            (["abcd", "-", "1", "2", "-"], ["-", "abcd", "1", "2", "-"]),
            (["-", "abcd", "1", "2", "-"], ["-", "abcd", "1", "2", "-"]),
        ] {
            assert_eq!(rotated(cut), after, "{cut:?}");
        }
    }

    #[test]
    fn a_writer_that_has_it_open_loses_no_line() {
        use std::io::Write as _;
        let temp = tempfile::tempdir().unwrap();
        let mut open = std::fs::File::create(temp.path().join("l")).unwrap();
        open.write_all(b"abcd").unwrap();
        rotate(&Dir::open(temp.path()).unwrap().unwrap(), "l", 4, 3).unwrap();
        open.write_all(b"e").unwrap();
        assert_eq!(files(temp.path())[..2], ["-", "abcde"]);
    }
}
