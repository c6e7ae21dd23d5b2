//! What can be wrong in units, timers and drop-ins.

use crate::judge::lint::catalogue;

catalogue! {
    TIMER_DISABLED = "timer.disabled", High, open, "a renewal timer is not enabled: nothing renews", "systemctl enable --now for the timer";
    TIMER_MASKED = "timer.masked", High, open, "a renewal timer is masked: nothing renews", "systemctl unmask, then enable --now for the timer";
    TIMER_NOWHERE = "timer.nowhere", High, open, "a timer starts a unit that does not exist", "create the unit, or correct Unit= of the timer";
    TIMER_SILENT = "timer.never", High, open, "a timer without a time at which it runs again: it never does", "set OnCalendar=, or OnBootSec= with OnUnitActiveSec=, in [Timer]";
    TIMER_ONCE = "timer.once", Medium, open, "a timer that runs once after a boot and never again", "add OnCalendar=, or OnUnitActiveSec= beside what is there";
    TIMER_ODD = "timer.calendar", Medium, open, "a time that systemd does not understand: the line is ignored", "write it as systemd.time(7) says; systemd-analyze calendar checks it";
    UNIT_ABSENT = "unit.absent", Medium, open, "there is no such unit", "correct the name";
    UNIT_MASKED = "unit.masked", Medium, open, "a unit of omens is masked", "systemctl unmask it, or remove it from what starts it";
    UNIT_DISABLED = "unit.disabled", Medium, open, "a unit that works at boot is not enabled", "systemctl enable it";
    LINK_DANGLING = "unit.link-dangling", High, open, "a unit is enabled by a link that leads nowhere: it never starts", "create the unit, or disable it";
    KEY_UNKNOWN = "unit.key-unknown", Medium, open, "a setting that systemd does not know: it is ignored", "correct the name of the setting";
    LINE_IGNORED = "unit.line-ignored", Medium, open, "a line of a unit that systemd does not understand: it is ignored", "write it as NAME=VALUE below the section that it belongs to";
    REFUSED = "unit.refused", High, open, "systemd does not load a unit as it is written: it never starts", "correct the line; systemd-analyze verify checks the unit";
    OVERRIDDEN = "unit.overridden", Info, open, "a drop-in changes what the unit itself says", "nothing, where it is meant: systemctl cat UNIT shows both; else take the line out of the drop-in";
    TOKEN = "unit.token", High, open, "a token or secret in the environment of a unit: every user may read it (systemctl show)",
        "revoke it, and use LoadCredential= or LoadCredentialEncrypted= with a file of mode 0600";
    FILE_TOKEN = "unit.token-file", Medium, open, "a token or secret in a file of environment variables", "use LoadCredential=, or log in without a stored token";
    SECRET_PUBLIC = "unit.secret-public", High, open, "a secret that a unit reads is readable for everybody", "chmod 0600, and replace the secret";
    SOURCE_ABSENT = "unit.source-absent", High, open, "a file that the unit needs does not exist: it does not start", "create the file, or put - before its path";
    RELOAD_PASSED = "unit.reload-unheard", Medium, open, "a reload after a renewal whose failure is passed over: nobody hears that the old certificate stays",
        "take the - from the command, so that the unit fails with it";
    ACCOUNT_ABSENT = "unit.account-absent", Medium, open, "the account or group that a unit runs as does not exist: it does not start (217/USER, 216/GROUP)",
        "create it (systemd-sysusers, useradd --system), or correct User= and Group=";
    CONDITION = "unit.condition-never", High, open, "a condition of a renewal that does not hold: systemd passes over it in silence",
        "create the file, or take the condition out";
}
