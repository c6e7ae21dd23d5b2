//! Chains drawn for a terminal, as trees from their roots down. It must never leave a chain out in silence.

use super::super::forest::{self, Node};
use super::{Paint, line};
use crate::model::audit::{Chain, Verdict};

/// As many leaves are drawn; further ones are counted. All of them are in the JSON.
const DRAWN: usize = 60;
/// As many cells has the bar of a lifetime.
const BAR: usize = 20;

/// Draws all of them.
pub(super) fn draw(out: &mut String, chains: &[Chain], paint: Paint) {
    for root in &forest::plant(chains.iter().take(DRAWN)) {
        node(out, root, ["", ""], paint);
    }
    for chain in chains.iter().take(DRAWN).filter(|chain| chain.links.is_empty()) {
        line(out, &format!("{}  {}: no certificate that parses", paint.bad("reject"), chain.target));
    }
    if chains.len() > DRAWN {
        line(out, &format!("… and {} more chains; --format json has them all", chains.len() - DRAWN));
    }
}

/// A certificate in a line, whoever uses it, and what it signed; `first` stands before the one, `rest` before the others.
fn node(out: &mut String, node_: &Node<'_>, [first, rest]: [&str; 2], paint: Paint) {
    let link = node_.link;
    let mut words = format!("{first}{}  {}", link.subject, paint.dim(&format!("{} until {}", link.key, link.not_after)));
    if let Some(elapsed) = node_.chains.iter().find_map(|chain| chain.elapsed) {
        words.push_str(&format!("  {}", bar(elapsed)));
        if let Some(left) = node_.chains.iter().find_map(|chain| chain.renewals_left) {
            words.push_str(&format!(", {left} renewal runs left"));
        }
    }
    line(out, &words);
    let trunk = if node_.below.is_empty() { "     " } else { "│    " };
    for chain in &node_.chains {
        line(out, &format!("{rest}{trunk}{}", verdict(chain, paint)));
    }
    let last = node_.below.len().saturating_sub(1);
    for (index, below) in node_.below.iter().enumerate() {
        let [arm, on] = if index == last { ["└─ ", "   "] } else { ["├─ ", "│  "] };
        node(out, below, [&format!("{rest}{arm}"), &format!("{rest}{on}")], paint);
    }
}

fn verdict(chain: &Chain, paint: Paint) -> String {
    let verdict = match chain.verdict {
        Verdict::Accept => paint.good("accept"),
        Verdict::Reject => paint.bad("reject"),
    };
    let refusing: Vec<&str> =
        forest::peers(chain).into_iter().filter(|(_, verdict)| *verdict == Verdict::Reject).map(|(name, _)| name).collect();
    let refusing = if refusing.is_empty() { String::new() } else { format!(", refused by {}", paint.bad(&refusing.join(", "))) };
    format!("{verdict}  {}{refusing}", chain.target)
}

/// How much of a life is over.
fn bar(elapsed: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the bar's length"
    )]
    let full = (elapsed.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let words = if elapsed > 1.0 { "its life is over".to_owned() } else { format!("{:.0} % of its life is over", elapsed * 100.0) };
    format!("[{}{}] {words}", "█".repeat(full), "·".repeat(BAR.saturating_sub(full)))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::sample;
    use super::*;

    #[test]
    fn an_authority_is_drawn_once_with_all_that_it_signed() {
        let mut chains = sample().chains;
        let mut other = chains[0].clone();
        other.links[0].sha256 = "1".repeat(64);
        other.links[0].subject = "CN=other".to_owned();
        chains.push(other);
        let mut out = String::new();
        draw(&mut out, &chains, Paint(false));
        assert_eq!(out.matches("CN=Book of Omens").count(), 1, "{out}");
        assert!(out.contains("├─ ") && out.contains("└─ CN=other") && out.contains("refused by Python"), "{out}");
        assert_eq!(out.matches("accept  ").count() + out.matches("reject  ").count(), chains.len());
    }

    #[test]
    fn chains_that_are_not_drawn_are_counted() {
        let chains = vec![sample().chains[0].clone(); DRAWN + 2];
        let mut out = String::new();
        draw(&mut out, &chains, Paint(false));
        assert!(out.ends_with("… and 2 more chains; --format json has them all\n"), "{out}");
    }

    #[test]
    fn a_bar_never_leaves_its_frame() {
        for (elapsed, full) in [(0.0, 0), (0.5, 10), (1.0, 20), (7.5, 20)] {
            assert_eq!(bar(elapsed).matches('█').count(), full, "{elapsed}");
        }
    }
}
