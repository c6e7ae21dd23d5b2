//! How the demo looks: headings, notes, the commands it types.

use std::io::IsTerminal as _;

/// Text between two escape sequences, on a terminal that wants them.
fn styled(text: &str, code: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// The next part of the story.
pub fn heading(text: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    println!("\n{}", styled(&format!("{number:>2}  {text}"), "1;36"));
}

/// A sentence about what is seen.
pub fn note(text: &str) {
    println!("{}", styled(&format!("    {text}"), "2"));
}

/// A command as it is typed.
pub fn typed(text: &str) {
    println!("    {} {}", styled("$", "2"), styled(text, "1"));
}

/// A line of facts.
pub fn fact(label: &str, text: &str) {
    println!("    {label:<9}{text}");
}

/// A good or a bad word.
pub fn verdict(good: bool, text: &str) -> String {
    styled(text, if good { "32" } else { "31" })
}
