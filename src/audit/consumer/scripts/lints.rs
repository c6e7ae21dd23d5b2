//! What can be wrong in scripts, cron tables and what units run.

use crate::judge::lint::catalogue;

catalogue! {
    TOKEN = "script.token", High, open, "a token, secret or private key in clear",
        "revoke it, and let the program read its secret from a file with mode 0600 or a systemd credential; omens logs in without a stored token";
    TLS_OFF = "script.tls-off", High, open, "checks of TLS certificates are switched off",
        "remove the switch and name the root (curl --cacert, VAULT_CACERT, BAO_CACERT, verify=FILE)";
    TWO_CALLS = "script.two-calls", High, open, "certificate and key come from two issuances: they never belong together",
        "make the call once, keep its answer, and take certificate and key from that; better: make the key here and have a request signed";
    SERVER_KEY = "script.server-key", Medium, open, "the private key is made by the server and sent over the network",
        "make the key on this host and have a request signed through the role's sign path";
    KEY_UMASK = "script.key-umask", Medium, open, "a private key is written with the modes of the day",
        "set umask 077 before the key is written";
    KEY_MODE = "script.key-mode", High, open, "a private key is made readable for everybody", "use mode 0600, or 0640 with the group of the service";
    OVERWRITES = "script.overwrites-live", Medium, open, "files that are in use are overwritten in place",
        "write beside the file and rename over it, certificate and key in one step: a reader or a power cut in between finds halves";
    SIGNAL_ENDS = "reload.ends-service", High, open, "a signal that ends the service instead of reloading it",
        "restart the service (Keylime), or bump the plugin's data file and send USR1 (SPIRE)";
    NO_RELOAD = "reload.not-supported", High, open, "a reload of a unit that has none: it fails, and the old certificate stays",
        "use try-restart, or try-reload-or-restart";
    BLIND_RELOAD = "reload.unseen", Low, open, "a reload whose outcome nobody sees: a bad pair leaves the old one in place in silence",
        "use systemctl reload, or nginx -t before the signal";
    WRITABLE = "script.writable", High, open, "others may change what is run here", "give file and directories to root, and take write access from others";
    ABSENT = "script.absent", High, open, "what is to be run does not exist", "create it, or correct the path";
    NOT_EXECUTABLE = "script.not-executable", High, open, "what is to be run is not executable", "chmod 0755";
    FIRST_LINE = "script.first-line", High, open, "the first line of a script names no interpreter that is there: it does not start",
        "write a first line such as #!/bin/sh, with line ends of Unix and nothing before it";
    ERRORS_PASSED = "script.errors-passed", Medium, open, "a failed issuance does not end the script: it goes on with what is not there",
        "end where nothing was issued (set -e counts neither before || and && nor in a condition, and not in what is called there)";
    MAY_NOT_WRITE = "script.may-not-write", High, open, "what is run may not write where it is told to",
        "name the directory in ReadWritePaths= of the unit, or give it to the account that the unit runs as";
    RELOAD_EARLY = "reload.early", Medium, open, "a reload before the new files lie in place: the service reads the old ones", "reload at the end";
    ORPHAN = "script.orphan", Low, open, "a renewal script that nothing runs", "remove it, or have a timer run it";
    CRON_IGNORED = "cron.ignored", High, open, "cron never looks at this file", "give it a name of letters, digits, - and _ only, owned by root, mode 0644, with a line end at its end";
    CRON_PERCENT = "cron.percent", High, open, "a % in a table of cron without a backslash: cron cuts the command there", "write \\% for each %, or move the command into a script";
    CRON_PATH = "cron.path", High, open, "a program that cron does not find: its PATH is short", "write the whole path of the program, or set PATH= in the table";
    CRON_ONCE = "cron.once", Medium, open, "a renewal that runs at a boot and never again", "write five fields of time, such as */15 * * * *";
    CRON_MALFORMED = "cron.malformed", Medium, open, "a line that cron does not understand", "write minute, hour, day, month, weekday, in /etc also the user, and the command";
}
