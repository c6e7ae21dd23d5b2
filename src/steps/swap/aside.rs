//! What lies at a consumer's path and is not ours gets a second name before its own is replaced: there is no moment without a file.

use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::code::Code;
use crate::model::failure::Warning;

/// The first name under which a file that was there is kept.
const ASIDE: &str = "before-omens";
/// Names tried before giving up.
const ASIDES: u32 = 100;

/// Keeps a file, link or pipe aside as `FILE.before-omens`, and says so; a plaintext key among them by name. Gives its second name: the one
/// that it has already, where a run was killed before it replaced the first.
///
/// # Errors
/// When it cannot be given another name.
pub fn keep_aside(dir: &Dir, file: &str, warnings: &mut Vec<Warning>) -> Result<String, DiskError> {
    let mut last = DiskError::new("keep aside", dir.join(file), rustix::io::Errno::EXIST);
    for number in 1..=ASIDES {
        let aside = if number == 1 { format!("{file}.{ASIDE}") } else { format!("{file}.{ASIDE}-{number}") };
        let kept = match write::keep_aside(dir, file, &aside) {
            Err(why) if why.errno == rustix::io::Errno::EXIST && dir.is_one_file(file, &aside)? => Ok(()),
            kept => kept,
        };
        match kept {
            Ok(()) => {
                warnings.push(Warning::new(Code::KeptAside, format!("{} is now {}", dir.join(file).display(), dir.join(&aside).display())));
                if is_plaintext_key(dir, &aside) {
                    let text = format!("{} holds a private key in clear text: remove it when nothing needs it", dir.join(&aside).display());
                    warnings.push(Warning::new(Code::PlaintextKey, text));
                }
                return Ok(aside);
            }
            Err(why) if why.errno == rustix::io::Errno::EXIST => last = why,
            Err(why) => return Err(why),
        }
    }
    Err(last)
}

fn is_plaintext_key(dir: &Dir, file: &str) -> bool {
    let has = |text: &[u8], part: &str| String::from_utf8_lossy(text).contains(part);
    let content = dir.kind(file).ok().filter(|kind| *kind == Some(Kind::File)).and_then(|_| dir.read(file).ok().flatten());
    content.is_some_and(|c| has(&c.bytes, "PRIVATE KEY-----") && !has(&c.bytes, "ENCRYPTED"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::write::Ownership;

    #[test]
    fn a_file_is_kept_aside_once_however_often_a_run_is_killed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap().unwrap();
        let put = |text: &[u8]| write::replace_any(&dir, "key", text, 0o600, Ownership::default()).unwrap();
        put(b"first");
        let keep = |file: &str| keep_aside(&dir, file, &mut Vec::new()).unwrap();
        // Killed after the second name was given, and before the first was replaced.
        assert_eq!([keep("key"), keep("key")], ["key.before-omens", "key.before-omens"]);
        put(b"second");
        assert_eq!([keep("key"), keep("key")], ["key.before-omens-2", "key.before-omens-2"]);
        assert_eq!(dir.read("key.before-omens").unwrap().unwrap().bytes.as_slice(), b"first");
        // A link is a file of its own.
        write::replace_link(&dir, "link", "elsewhere").unwrap();
        assert_eq!([keep("link"), keep("link")], ["link.before-omens", "link.before-omens"]);
        assert_eq!(dir.names().unwrap(), ["key", "key.before-omens", "key.before-omens-2", "link", "link.before-omens"]);
    }
}
