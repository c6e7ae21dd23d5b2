//! Lengths of time as the settings write them: a number and its unit.

use std::time::Duration;

/// Reads `90s`, `10m`, `24h`, `7d` (and sums like `1h30m`); a bare number has no unit and is refused.
///
/// # Errors
/// What is expected, when the text is no such length.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a number with its unit, such as \"90s\", \"10m\", \"24h\" or \"7d\", found \"{text}\"");
    let too_long = || format!("expected no more than centuries, found \"{text}\"");
    let mut rest = text.trim();
    if rest.starts_with('-') {
        return Err(format!("expected no length of time below zero, found \"{text}\""));
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(wrong)?;
        if number.is_empty() {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| too_long())?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return Err(wrong()),
        };
        // Ten years is far beyond any lifetime here and far below what a Duration can hold.
        let factor = u32::try_from(number).map_err(|_| too_long())?;
        total = unit.checked_mul(factor).and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        rest = tail;
    }
    Ok(total)
}

/// The shortest exact way to write a length, such as `24h`, `90m` or `1d6h`.
#[must_use]
pub fn show(length: Duration) -> String {
    let mut rest = length.as_secs();
    if rest == 0 {
        return if length.is_zero() { "0s".to_owned() } else { format!("{}ms", length.as_millis()) };
    }
    let mut text = String::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        // Lifetimes of one day are called 24h by everybody.
        if size == 86_400 && rest < 2 * 86_400 {
            continue;
        }
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

/// The length of so many seconds, as people say it: seconds do not matter once it is hours; nothing below zero.
#[must_use]
pub fn about(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let seconds = if seconds > 7200 { seconds - seconds % 60 } else { seconds };
    if seconds == 0 { "0s".to_owned() } else { show(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_carries_its_unit() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "24", "h", "-1h", "1 day", "1.5h", "24H", "99999999999h", "1h-"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for secs in [1, 59, 60, 90, 3600, 5400, 86_400, 604_800, 788_645] {
            let length = Duration::from_secs(secs);
            assert_eq!(parse(&show(length)), Ok(length));
        }
        assert_eq!(show(Duration::from_secs(86_400)), "24h");
        assert_eq!(show(Duration::from_secs(604_800)), "7d");
    }
}
