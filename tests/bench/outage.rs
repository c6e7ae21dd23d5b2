//! `./run bench outage`: a hundred thousand hosts, a CA that is away for hours and comes back slowly, drawn over time.

#[path = "../outage/sim.rs"]
mod sim;

use sim::{Play, Played, Rule, per_second, play};

use super::{beside, figure, part};

const HOSTS: usize = 100_000;
const HOUR: i64 = 3600;
/// One CA on two cores, as measured; its return takes two hours.
const CAPACITY: f64 = 130.0;
const COLUMNS: usize = 96;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub fn outage() {
    println!("{HOSTS} hosts with a certificate of a day and a run each 15 minutes; one CA that signs {CAPACITY} a second");
    println!("away: every request is lost and counts; back: from a hundredth of that to all of it within two hours");
    for hours in [1, 6, 12, 20] {
        part(&format!("the CA is away for {hours} h"));
        let played = played(Rule::Ours, hours);
        draw("asked", &played.asked, CAPACITY);
        draw("signed", &played.signed, CAPACITY);
        println!("  {:<7} {}", "", ruler(hours, played.asked.len()));
        figure("ended although the CA would have signed", &played.avoidable.to_string(), "0", played.avoidable == 0);
        let peak = played.peak();
        figure("requests in a second, worst minute", &format!("{peak:.0}"), "below the 130 that it signs", peak < CAPACITY);
        beside("ended while the CA could not sign", &(played.ended - played.avoidable).to_string());
        beside("longest time that a due host did not ask", &format!("{} min", played.longest_silence / 60));
        let before = self::played(Rule::FiveInAThird, hours);
        beside("with five requests in 8 h and then silence", &format!("{} ended, {} of them needlessly", before.ended, before.avoidable));
    }
}

fn played(rule: Rule, hours: i64) -> Played {
    play(Play { hosts: HOSTS, rule, away: hours * HOUR, return_takes: 2 * HOUR, capacity: CAPACITY })
}

/// Minutes as bars, of which the highest stands for this many a second.
fn draw(what: &str, minutes: &[usize], full: f64) {
    let line: String = columns(minutes.len()).map(|(from, to)| bar(minutes[from..to].iter().copied().max().unwrap_or(0), full)).collect();
    println!("  {what:<7} {line}");
}

fn columns(minutes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..COLUMNS).map(move |column| (column * minutes / COLUMNS, ((column + 1) * minutes / COLUMNS).max(column * minutes / COLUMNS + 1)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "eighths of a bar")]
fn bar(of_a_minute: usize, full: f64) -> char {
    let eighths = (per_second(of_a_minute) / full * 8.0).ceil() as usize;
    BARS[eighths.min(8)]
}

/// When the CA is away, and when it is back in part.
fn ruler(hours: i64, minutes: usize) -> String {
    let hour = |minute: usize| i64::try_from(minute).expect("minutes") / 60;
    columns(minutes)
        .map(|(from, _)| match hour(from) - 1 {
            h if h < 0 => '·',
            h if h < hours => 'x',
            h if h < hours + 2 => '/',
            _ => '·',
        })
        .collect()
}
