//! SMTP, IMAP and POP3: protocols of lines.

use super::{NotGranted, Talk, declined, foreign};

/// RFC 3207: greeting, EHLO, STARTTLS.
pub(super) async fn smtp(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    let greeting = reply(talk).await?;
    if greeting.code != 220 {
        return Err(declined(&greeting.last));
    }
    // An address literal: no name of this host is told.
    talk.say(b"EHLO [127.0.0.1]\r\n").await?;
    let offers = reply(talk).await?;
    if offers.code != 250 || !offers.lines.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Err(declined("it does not offer STARTTLS"));
    }
    talk.say(b"STARTTLS\r\n").await?;
    let answer = reply(talk).await?;
    if answer.code == 220 { Ok(()) } else { Err(declined(&answer.last)) }
}

/// A reply of SMTP (RFC 5321 §4.2).
struct Reply {
    code: u16,
    /// What stands behind the code in each line.
    lines: Vec<String>,
    /// The last line as it came.
    last: String,
}

async fn reply(talk: &mut Talk<'_>) -> Result<Reply, NotGranted> {
    let mut lines = Vec::new();
    loop {
        let line = talk.line().await?;
        let parsed = line.get(..3).and_then(|code| code.parse().ok()).zip(line.get(3..));
        let Some((code, rest)) = parsed else { return Err(foreign(&line)) };
        match rest.strip_prefix('-') {
            Some(more) => lines.push(more.trim().to_owned()),
            None if rest.is_empty() || rest.starts_with(' ') => {
                lines.push(rest.trim().to_owned());
                return Ok(Reply { code, lines, last: line });
            }
            None => return Err(foreign(&line)),
        }
    }
}

/// RFC 9051 §6.2.1. A connection that is authenticated already cannot go over to TLS: such a greeting is how it is prevented.
pub(super) async fn imap(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    let greeting = talk.line().await?;
    let Some(status) = greeting.strip_prefix("* ") else { return Err(foreign(&greeting)) };
    if !starts(status, "OK") {
        return Err(declined(status));
    }
    talk.say(b"a1 STARTTLS\r\n").await?;
    loop {
        let line = talk.line().await?;
        match line.strip_prefix("a1 ") {
            Some(answer) if starts(answer, "OK") => return Ok(()),
            Some(answer) => return Err(declined(answer)),
            None if line.starts_with("* BYE") => return Err(declined(&line)),
            None if line.starts_with("* ") => {}
            None => return Err(foreign(&line)),
        }
    }
}

/// RFC 2595 §4.
pub(super) async fn pop3(talk: &mut Talk<'_>) -> Result<(), NotGranted> {
    let greeting = talk.line().await?;
    if !starts(&greeting, "+OK") {
        return Err(if starts(&greeting, "-ERR") { declined(&greeting) } else { foreign(&greeting) });
    }
    talk.say(b"STLS\r\n").await?;
    let answer = talk.line().await?;
    if starts(&answer, "+OK") { Ok(()) } else { Err(declined(&answer)) }
}

/// Whether a line begins with this word.
fn starts(line: &str, word: &str) -> bool {
    line.split(' ').next().is_some_and(|first| first.eq_ignore_ascii_case(word))
}
