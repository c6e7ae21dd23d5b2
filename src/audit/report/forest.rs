//! Chains as trees from their roots down: every authority once, with what it signed below it.

use crate::model::audit::{Chain, Link, Verdict};

/// A certificate, and what lies below it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) link: &'a Link,
    /// Chains whose leaf it is.
    pub(super) chains: Vec<&'a Chain>,
    /// What it signed.
    pub(super) below: Vec<Self>,
}

/// The trees of these chains; those without any certificate are in none.
pub(super) fn plant<'a>(chains: impl Iterator<Item = &'a Chain>) -> Vec<Node<'a>> {
    let mut roots = Vec::new();
    chains.for_each(|chain| put(&mut roots, chain, chain.links.len()));
    roots
}

/// Puts a chain into the tree, from its last link on.
fn put<'a>(nodes: &mut Vec<Node<'a>>, chain: &'a Chain, left: usize) {
    let Some(link) = left.checked_sub(1).and_then(|at| chain.links.get(at)) else { return };
    let at = nodes.iter().position(|node| node.link.sha256 == link.sha256).unwrap_or(nodes.len());
    if at == nodes.len() {
        nodes.push(Node { link, chains: Vec::new(), below: Vec::new() });
    }
    let Some(node) = nodes.get_mut(at) else { return };
    if left == 1 {
        node.chains.push(chain);
    } else {
        put(&mut node.below, chain, left - 1);
    }
}

/// What each kind of peer says.
pub(super) const fn peers(chain: &Chain) -> [(&'static str, Verdict); 4] {
    [("rustls", chain.peers.rustls), ("OpenSSL", chain.peers.openssl), ("Python ≥ 3.13", chain.peers.python), ("Go", chain.peers.go)]
}
