//! Unit directories in temporary roots: what is found in them, and what is not.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::model::audit::Finding;
use crate::model::clock::Time;

/// Files by path; a text `-> X` is a link, `0600 text` has that mode.
fn estate(files: &[(&str, &str)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let top = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = top.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(target) = text.strip_prefix("-> ") {
            symlink(target, path).unwrap();
            continue;
        }
        let (mode, text) = text.split_once(' ').filter(|(mode, _)| mode.starts_with('0')).unwrap_or(("0644", text));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap())).unwrap();
    }
    top
}

fn look(files: &[(&str, &str)]) -> (Systemd, Vec<Finding>) {
    let top = estate(files);
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let units = read(&view, WORDS_OF_SERVICES, &mut findings);
    (units, findings.into_document().findings)
}

const ETC: &str = "/etc/systemd/system";
const TIMER: &str = "[Timer]\nOnCalendar=*:00/30\nRandomizedDelaySec=10min\nFixedRandomDelay=yes\n[Install]\nWantedBy=timers.target\n";
/// As the descriptors of these services have them.
const WORDS_OF_SERVICES: &[&str] = &["omens", "nginx", "keylime", "spire", "openbao", "/bao", "bao ", "vault"];
const UNIT: &str = "[Service]\nType=oneshot\nExecStart=/usr/bin/omens renew --all\n";

#[test]
fn healthy_units_give_nothing_above_info() {
    let keylime = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/local/bin/keylime_verifier\nRestart=on-failure\nRestartSec=120s\n[Install]\nWantedBy=multi-user.target\n";
    let nginx = "[Service]\nType=forking\nExecStartPre=/usr/sbin/nginx -t -q -g 'daemon on; master_process on;'\nExecStart=/usr/sbin/nginx -g 'daemon on; master_process on;'\nExecReload=/usr/sbin/nginx -g 'daemon on; master_process on;' -s reload\n";
    let (units, findings) = look(&[
        ("/usr/lib/systemd/system/omens-renew.timer", TIMER),
        ("/usr/lib/systemd/system/omens-renew.service", UNIT),
        ("/usr/lib/systemd/system/nginx.service", nginx),
        ("/etc/systemd/system/keylime_verifier.service", keylime),
        ("/etc/systemd/system/timers.target.wants/omens-renew.timer", "-> /usr/lib/systemd/system/omens-renew.timer"),
        ("/etc/systemd/system/timers.target.wants/certbot.timer", "-> /lib/systemd/system/certbot.timer"),
        (
            "/etc/systemd/system/spire-server.service",
            "[Service]\nExecStart=/opt/spire/bin/spire-server run\nExecReload=/bin/kill -USR1 $MAINPID\nEnvironmentFile=-/etc/default/spire\n",
        ),
        ("/etc/systemd/system/getty.target.wants/getty@tty1.service", "-> /lib/systemd/system/getty@.service"),
    ]);
    assert_eq!(findings, []);
    let timer = &units.timers[0];
    assert_eq!(
        (timer.period, timer.enabled, timer.renews, timer.runs.as_str()),
        (Some(Duration::from_secs(1800)), true, true, "omens-renew.service")
    );
    assert_eq!(timer.location, Location::line("/usr/lib/systemd/system/omens-renew.timer", 2));
    assert!(units.commands.fixed.contains("keylime_verifier.service") && !units.commands.fixed.contains("nginx.service"));
}

#[test]
fn every_defect_of_a_unit_is_found_at_its_line() {
    let wanted = (format!("{ETC}/timers.target.wants/x-renew.timer"), format!("-> {ETC}/x-renew.timer"));
    let timer = |text: &str| vec![("x-renew.timer", text.to_owned()), ("x-renew.service", UNIT.to_owned())];
    let service = |text: &str| vec![("keylime_x.service", format!("[Service]\nExecStart=/usr/local/bin/keylime_x\n{text}\n"))];
    for (files, link, expected) in [
        (timer(TIMER), false, "timer.disabled:x-renew.timer:0"),
        (vec![("x-renew.timer", TIMER.to_owned())], true, "timer.nowhere:x-renew.timer:0"),
        (timer("[Timer]\nOnCalendar=daily\nUnit=y.service\n"), true, "timer.nowhere:x-renew.timer:3"),
        (timer("[Timer]\nPersistent=yes\n"), true, "timer.never:x-renew.timer:0"),
        (timer("[Timer]\nOnBootSec=5min\n"), true, "timer.once:x-renew.timer:0"),
        (timer("[Timer]\nOnCalendar=evry day\n"), true, "timer.calendar:x-renew.timer:2"),
        (timer("[Timer]\nOnCalender=daily\n"), true, "unit.key-unknown:x-renew.timer:2"),
        (vec![], true, "unit.link-dangling:timers.target.wants/x-renew.timer:0"),
        (service("ExecReload=/bin/kill -HUP $MAINPID"), false, "reload.ends-service:keylime_x.service:3"),
        (service("Environment=\"VAULT_TOKEN=hvs.CAESIJlWh7gq0dT9vQqKx0n3exa\""), false, "unit.token:keylime_x.service:3"),
        (service("Environment=VAULT_SKIP_VERIFY=true"), false, "script.tls-off:keylime_x.service:3"),
        (service("EnvironmentFile=/etc/none.env"), false, "unit.source-absent:keylime_x.service:3"),
        (service("ExecStartPost=/usr/local/bin/after.sh"), false, "script.absent:keylime_x.service:3"),
        (service("ExecStartPost=/usr/bin/systemctl reload keylime_x"), false, "reload.not-supported:keylime_x.service:3"),
        (
            service("ExecStartPre=/bin/sh -c 'curl -sk https://bao.example:8200/v1/pki/ca/pem > /etc/ca.pem'"),
            false,
            "script.tls-off:keylime_x.service:3",
        ),
        (service("LoadCredential=token:/etc/none"), false, "unit.source-absent:keylime_x.service:3"),
        (service("ExecReloaad=/x"), false, "unit.key-unknown:keylime_x.service:3"),
    ] {
        let files: Vec<(String, String)> = files.into_iter().map(|(name, text)| (format!("{ETC}/{name}"), text)).collect();
        let mut all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        if link {
            all.push((&wanted.0, &wanted.1));
        }
        let (_, findings) = look(&all);
        let found: Vec<String> = findings
            .iter()
            .map(|f| format!("{}:{}:{}", f.id, f.files[0].path.replace(&format!("{ETC}/"), ""), f.files[0].line.unwrap_or_default()))
            .collect();
        assert!(found.iter().any(|found| found == expected), "expected {expected}, found {found:?}");
    }
}

#[test]
fn the_first_directory_wins_and_drop_ins_add_to_it() {
    let (units, findings) = look(&[
        ("/etc/systemd/system/a-renew.timer", "[Timer]\nOnCalendar=hourly\n"),
        ("/usr/lib/systemd/system/a-renew.timer", "[Timer]\nOnCalendar=weekly\n"),
        ("/usr/lib/systemd/system/a-renew.timer.d/10-x.conf", "[Timer]\nOnCalendar=\nOnCalendar=monthly\n"),
        ("/etc/systemd/system/a-renew.timer.d/10-x.conf", "[Timer]\nOnCalendar=\nOnCalendar=daily\n"),
        ("/etc/systemd/system/a-.timer.d/20-y.conf", "[Timer]\nRandomizedDelaySec=1h\n"),
        ("/etc/systemd/system/a-renew.timer.d/30-z.conf", "-> /dev/null"),
        ("/etc/systemd/system/a-renew.service", UNIT),
        ("/run/systemd/system/omens-restore.service", UNIT),
        ("/etc/systemd/system/omens-renew.timer", "-> /dev/null"),
        ("/etc/systemd/system/multi-user.target", "[Unit]\nDescription=x\n"),
        ("/etc/systemd/system/b.service", "[Unit]\nWants=a-renew.timer\n[Service]\nExecStart=/x\n"),
    ]);
    let timer = units.timers.iter().find(|timer| timer.target.name == "a-renew.timer").unwrap();
    assert_eq!((timer.period, timer.enabled), (Some(Duration::from_secs(25 * 3600)), true));
    assert_eq!(timer.location, Location::line("/etc/systemd/system/a-renew.timer.d/10-x.conf", 3));
    let found: Vec<&str> = findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(found, ["unit.disabled", "timer.masked", "unit.overridden"], "{findings:#?}");
}

#[test]
fn secrets_in_files_are_judged_by_who_may_read_them() {
    let unit =
        "[Service]\nExecStart=/usr/bin/omens renew\nEnvironmentFile=/etc/a.env\nEnvironmentFile=-/etc/b.env\nLoadCredential=t:/etc/c\n";
    let token = "# VAULT_TOKEN=hvs.AAAAAAAAAAAAAAAAAAAAAAAA\nA=1\nVAULT_TOKEN=hvs.CAESIJlWh7gq0dT9vQqKx0n3exa\n";
    let secret = format!("0600 {token}");
    let files = [("/etc/systemd/system/omens-x.service", unit), ("/etc/a.env", token), ("/etc/b.env", secret.as_str()), ("/etc/c", "x")];
    let (_, findings) = look(&files);
    let found: Vec<String> = findings.iter().map(|f| format!("{} {}", f.id, f.files[0])).collect();
    assert_eq!(found, ["unit.secret-public /etc/a.env:3", "unit.secret-public /etc/c", "unit.token-file /etc/b.env:3"]);
    assert!(!findings.iter().any(|f| f.found.contains("CAESIJ")));
}

#[test]
fn a_timer_renews_by_what_its_script_does_whatever_it_is_called() {
    let (units, findings) = look(&[
        ("/etc/systemd/system/weekly-chores.timer", "[Timer]\nOnCalendar=weekly\n"),
        ("/etc/systemd/system/weekly-chores.service", "[Service]\nExecStart=/opt/chores\n"),
        ("/opt/chores", "0755 #!/bin/sh\nbao write pki_int/sign/web csr=@x\n"),
        ("/etc/systemd/system/backup.timer", "[Timer]\nOnCalendar=weekly\n"),
        ("/etc/systemd/system/backup.service", "[Service]\nExecStart=/opt/backup\n"),
    ]);
    assert_eq!(
        findings.iter().map(|f| (f.id.as_str(), f.target.name.as_str())).collect::<Vec<_>>(),
        [("timer.disabled", "weekly-chores.timer")]
    );
    assert_eq!(units.timers.iter().filter(|timer| timer.renews).count(), 1);
}

#[test]
fn a_timer_of_something_else_may_run_once_and_a_specifier_is_a_time() {
    let (_, findings) = look(&[
        ("/etc/systemd/system/warm-cache.timer", "[Timer]\nOnBootSec=2min\n"),
        ("/etc/systemd/system/party.timer", "[Timer]\nOnCalendar=2027-01-01 00:00\n"),
        ("/etc/systemd/system/at@.timer", "[Timer]\nOnCalendar=%i\n"),
        ("/etc/systemd/system/timers.target.wants/at@daily.timer", "-> /etc/systemd/system/at@.timer"),
        ("/etc/systemd/system/on@.timer", "[Timer]\nOnCalendar=%I\n"),
        ("/etc/systemd/system/chores.service", "[Service]\nExecStart=/bin/sh -c 'cd /srv ; exec ./run'\n"),
    ]);
    let found: Vec<(&str, &str)> = findings
        .iter()
        .filter(|f| f.id.starts_with("timer") || f.id == "unit.refused")
        .map(|f| (f.id.as_str(), f.target.name.as_str()))
        .collect();
    assert_eq!(found, []);
    let (_, findings) = look(&[
        ("/etc/systemd/system/at@.timer", "[Timer]\nOnCalendar=%i\n"),
        ("/etc/systemd/system/timers.target.wants/at@dayly.timer", "-> /etc/systemd/system/at@.timer"),
    ]);
    assert_eq!(
        findings.iter().map(|f| (f.id.as_str(), f.target.name.as_str())).collect::<Vec<_>>(),
        [("timer.calendar", "at@dayly.timer")]
    );
}

#[test]
fn one_unit_is_read_with_what_starts_it() {
    let top =
        estate(&[("/etc/systemd/system/x.timer", TIMER), ("/etc/systemd/system/x.service", UNIT), ("/etc/systemd/system/y.service", UNIT)]);
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let names = |units: Systemd| units.units.into_iter().map(|unit| unit.name).collect::<Vec<_>>();
    assert_eq!(names(unit(&view, "x", &mut findings).unwrap()), ["x.service", "x.timer"]);
    assert_eq!(findings.list().iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["timer.disabled"]);
    assert!(unit(&view, "none.service", &mut findings).is_none() && findings.list().iter().any(|f| f.id == "unit.absent"));
}

#[test]
fn files_and_variables_that_units_tell_services_are_known() {
    use super::told::{configurations, environment};
    let top = estate(&[
        (
            "/etc/systemd/system/keylime_verifier.service",
            "[Service]\nEnvironment=\"A=1\" B=2\nEnvironmentFile=-/etc/default/keylime\nExecStart=/usr/bin/keylime_verifier\n",
        ),
        ("/etc/default/keylime", "# C=0\n;D=0\nC=\"3 4\"\n"),
        ("/etc/systemd/system/a.service", "[Service]\nExecStart=-/opt/spire/bin/spire-server run -config /srv/server.conf\n"),
        ("/etc/systemd/system/b.service", "[Service]\nExecStart=/usr/bin/bao server -config=/srv/bao.hcl -config=rel\n"),
    ]);
    let view = View::root(top.path()).unwrap();
    let units = super::read(&view, WORDS_OF_SERVICES, &mut HostFindings::new(Time::from_unix(0), "h")).units;
    let variables: Vec<(String, String)> =
        environment(&view, &units, "keylime").into_iter().map(|variable| (variable.name, variable.value)).collect();
    assert_eq!(variables, [("A", "1"), ("B", "2"), ("C", "3 4")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(configurations(&units, &["spire-server", "spire-agent"]), [Path::new("/srv/server.conf")]);
    assert_eq!(configurations(&units, &["bao", "vault"]), [Path::new("/srv/bao.hcl")]);
    assert!(configurations(&units, &["nginx"]).is_empty());
}
