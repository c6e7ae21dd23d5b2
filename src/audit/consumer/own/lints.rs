//! What can be wrong with the certificates that omens keeps itself.

use crate::judge::lint::catalogue;

const RENEW: &str = "run omens renew, and look at what it says";

catalogue! {
    SETTINGS = "own.settings", High, open, "the settings of omens are wrong, so that nothing is renewed", "mend the line that is named; omens check-config says the same";
    UNREADABLE_TREE = "own.unreadable", Medium, open, "the state directory of omens cannot be read", "run it as root";
    MISSING = "own.missing", High, open, "a certificate of the settings was never issued", RENEW;
    DAMAGED = "own.damaged", High, open, "a committed certificate or its key cannot be read", RENEW;
    CHANGED = "own.changed-on-disk", Medium, open, "files of a committed certificate are not the ones that omens put there", "find out who wrote them; omens renew replaces them";
    OTHER_THAN_SETTINGS = "own.settings-changed", Medium, open, "the certificate is not the one that the settings ask for", RENEW;
    NOT_TAKEN_UP = "own.not-taken-up", High, open, "a certificate was renewed, and its service did not take it up", "mend what is named, then run omens renew: it settles without issuing anew";
    UNPUBLISHED = "own.unpublished", High, open, "consumers read something else than what is committed", "run omens restore, or omens renew";
    UNPROVEN = "own.unproven", Low, open, "nobody has seen the certificate served since it was published", "start the service, then run omens renew";
    OVERDUE = "own.overdue", High, open, "a renewal is overdue", "look at systemctl list-timers omens-renew.timer, and at journalctl -u omens-renew";
    LINK_MISSING = "own.link-missing", High, open, "a link at a consumer's own path is missing, or leads elsewhere", "run omens install, after a look at what lies there now";
    REVOKED = "own.revoked", High, open, "the CA has revoked the certificate that is in use, as a run saw", RENEW;
    TRUST_NOT_TAKEN_UP = "own.trust-changed", Medium, open, "what consumers are to trust has changed, and they did not read it yet", RENEW;
    LAST_ERROR = "own.last-error", Medium, open, "the last renewal ended in an error", "see omens status";
    PLAIN_KEY = "key.plain-where-sealed", High, open, "a private key lies in clear where the settings ask for it to be sealed", "run omens renew --force for this certificate: the next key is sealed, and the generation with the plain key goes with the one after";
    BREAK_GLASS = "attest.break-glass", High, open, "a certificate was issued without a verdict on this host's state", "omens attest --once: a pass ends this; issue anew what was issued meanwhile";
    CONSUMER_ELSEWHERE = "own.consumer-elsewhere", Medium, open, "a service that the settings name for a certificate reads none of its files: it goes on with another one",
        "name the files of the certificate in the configuration of the service (README, \"Services\"), or take the service from reload";
    LEFTOVER = "own.leftover", Low, open, "a directory of a certificate that the settings no longer name", "remove it if it is not needed";
}
