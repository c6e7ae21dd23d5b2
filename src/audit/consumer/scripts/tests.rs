//! Scripts and cron tables in temporary roots: what is found in them, and what is not.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::audit::consumer::systemd;
use crate::model::audit::Finding;
use crate::model::clock::Time;
use crate::model::finding::Severity;

/// Files by path; a text `0777 …` has that mode.
fn look(files: &[(&str, &str)]) -> (Scripts, Vec<Finding>) {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir_all(top.path().join("usr/local/bin")).unwrap();
    for (path, text) in files {
        let path = top.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (mode, text) = text.split_once(' ').filter(|(mode, _)| mode.starts_with('0') && mode.len() == 4).unwrap_or(("0755", text));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap())).unwrap();
    }
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let units = systemd::read(&view, &["omens", "nginx", "keylime", "spire", "openbao"], &mut findings);
    let scripts = read(&view, &units.commands, &mut findings);
    (scripts, findings.into_document().findings)
}

const RENEW: &str = "/usr/local/bin/renew.sh";
const CRON: (&str, &str) = ("/etc/cron.d/renew", "0644 PATH=/usr/bin\n# m h\n*/30 * * * * root /usr/local/bin/renew.sh\n");

#[test]
fn healthy_scripts_give_nothing_above_low() {
    let sound = "#!/bin/sh\nset -eu\numask 077\nexport VAULT_TOKEN=$(cat \"$CREDENTIALS_DIRECTORY/token\")\nDIR=/etc/nginx/ssl\nTMP=$(mktemp -d)\nopenssl req -new -newkey ec -nodes -keyout \"$TMP/x.key\" -out \"$TMP/x.csr\" -subj /CN=x\n# curl -k VAULT_TOKEN=hvs.CAESIJlWh7gq0dT9vQqKx0n3exa\nANSWER=$(bao write -format=json pki_int/sign/web csr=@$TMP/x.csr)\necho \"$ANSWER\" | jq -r .data.certificate > \"$DIR/x.crt.new\"\nmv \"$DIR/x.crt.new\" \"$DIR/x.crt\"\nchmod 0640 \"$DIR/x.key\"\nnginx -t && systemctl reload nginx\nsystemctl try-restart keylime_verifier\ncurl --cacert /etc/ca.pem -fsS https://x/ -o /dev/null\ncurl -sk https://localhost:8443/health\ncp /etc/keylime/a /tmp/b && kill -USR1 $(cat /run/x.pid)\n";
    for (path, text) in [
        (RENEW, sound),
        (RENEW, "#!/bin/sh\nexec omens renew --all\n"),
        (RENEW, "#!/bin/sh\ntest -e /usr/bin/certbot && certbot -q renew --deploy-hook 'systemctl reload nginx'\n"),
        ("/opt/backup/dump.sh", "#!/bin/sh\ntar c /etc | ssh host 'cat > /backup/x'\nkill -HUP $(cat /run/rsyslogd.pid)\n"),
        ("/usr/local/bin/tool", "\x7fELF\0\0 curl -k VAULT_TOKEN=hvs.CAESIJlWh7gq0dT9vQqKx0n3exa"),
    ] {
        let cron = if path == RENEW {
            CRON
        } else {
            ("/etc/cron.d/e2scrub_all", "30 3 * * 0 root test -e /run/systemd/system || /sbin/e2scrub_all -C -A\n")
        };
        let (_, findings) =
            look(&[(path, text), cron, ("/etc/crontab", "SHELL=/bin/sh\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n")]);
        let worst: Vec<&Finding> = findings.iter().filter(|f| f.severity >= Severity::Medium).collect();
        assert!(worst.is_empty(), "{text}\n{worst:#?}");
    }
}

#[test]
fn every_defect_of_a_script_is_found_at_its_line() {
    for (text, expected) in [
        ("export VAULT_TOKEN=hvs.CAESIJlWh7gq0dT9vQqKx0n3exa", "script.token:2"),
        ("curl -fsSk https://bao.example:8200/v1/pki_int/ca", "script.tls-off:2"),
        ("wget --no-check-certificate https://x", "script.tls-off:2"),
        ("export BAO_SKIP_VERIFY=true", "script.tls-off:2"),
        ("BAO_SKIP_VERIFY=1 bao read x", "script.tls-off:2"),
        ("bao write -tls-skip-verify x", "script.tls-off:2"),
        ("python3 -c 'requests.get(u, verify=False)'", "script.tls-off:2"),
        (
            "bao write -field=certificate pki_int/issue/web > /tmp/a\nbao write -field=private_key pki_int/issue/web > /tmp/b",
            "script.two-calls:3",
        ),
        (
            "bao write -field=private_key \\\n pki_int/issue/web > /tmp/b\nbao write -field=certificate pki_int/issue/web > /tmp/a",
            "script.two-calls:4",
        ),
        ("P=pki_int/issue/web\nbao write -field=certificate $P > /tmp/a\nbao write -field=private_key $P > /tmp/b", "script.two-calls:4"),
        ("get() {\nbao write -field=\"$1\" pki_int/issue/web\n}\nget certificate > /tmp/a\nget private_key > /tmp/b", "script.two-calls:6"),
        ("for f in certificate private_key; do\nbao write -field=$f pki_int/issue/web > /tmp/$f\ndone", "script.two-calls:3"),
        (
            "curl $A/v1/pki/issue/w -d @x | jq -r .data.certificate > /tmp/a; curl $A/v1/pki/issue/w -d @x | jq -r .data.private_key > /tmp/b",
            "script.two-calls:2",
        ),
        ("bao write -format=json pki_int/issue/web > /tmp/x", "script.server-key:2"),
        ("jq -r .data.private_key a > /etc/nginx/x.key", "script.key-umask:2"),
        ("chmod 644 /etc/nginx/x.key", "script.key-mode:2"),
        ("install -m 0644 x.key /etc/nginx/x.key", "script.key-mode:2"),
        ("umask 077\ncp a.crt /etc/nginx/x.crt\ncp a.key /etc/nginx/x.key", "script.overwrites-live:3"),
        ("pkill -HUP keylime_verifier", "reload.ends-service:2"),
        ("kill -HUP $(pidof spire-agent)", "reload.ends-service:2"),
        ("PID=$(pgrep -f keylime_registrar)\nkill -s HUP \"$PID\"", "reload.ends-service:3"),
        ("systemctl kill --signal=SIGHUP spire-server", "reload.ends-service:2"),
        ("for s in keylime_verifier keylime_registrar; do\npkill -HUP $s\ndone", "reload.ends-service:3"),
        ("killall -1 keylime_agent", "reload.ends-service:2"),
        ("systemctl reload keylime_verifier nginx", "reload.not-supported:2"),
        ("kill -HUP $(cat /run/nginx.pid)", "reload.unseen:2"),
    ] {
        let (_, findings) = look(&[(RENEW, &format!("#!/bin/sh\n{text}\n")), CRON]);
        let found: Vec<String> = findings.iter().map(|f| format!("{}:{}", f.id, f.files[0].line.unwrap_or_default())).collect();
        assert!(found.iter().any(|found| found == expected), "{text}\nexpected {expected}, found {found:?}");
        assert!(findings.iter().all(|f| f.files[0].path == RENEW && !format!("{f:?}").contains("CAESIJ")), "{findings:?}");
    }
}

/// A field whose name goes on after the key's, and an answer that the key is taken out of, are no key.
#[test]
fn a_key_is_written_where_its_field_is_taken() {
    for (text, is_key) in [
        ("jq -r .data.private_key a > /var/lib/a/x", true),
        ("jq -r '.data.private_key, .data.certificate' a > /var/lib/a/x", true),
        ("jq -r '.data.private_key|@text' a > /var/lib/a/x", true),
        ("jq -r .data.private_key_type a > /var/lib/a/x", false),
        ("jq 'del(.data.private_key)' a > /var/lib/a/x", false),
        ("jq 'del(.data.private_key, .x[(1)]) | .data' a > /var/lib/a/x", false),
        ("jq 'del(.data.serial_number) | .data.private_key' a > /var/lib/a/x", true),
        ("jq 'model(.data.private_key)' a > /var/lib/a/x", true),
    ] {
        let (_, findings) = look(&[(RENEW, &format!("#!/bin/sh\n{text}\n")), CRON]);
        assert_eq!(findings.iter().any(|finding| finding.id == "script.key-umask"), is_key, "{text}\n{findings:#?}");
    }
}

#[test]
fn what_cron_runs_is_there_and_nobody_elses() {
    let (scripts, findings) = look(&[
        (
            "/etc/crontab",
            "0644 VAULT_SKIP_VERIFY=1\n0 3 * * * root /usr/local/bin/gone.sh --x\n0 4 * * * root /opt/x/renew.sh\nnonsense here\n",
        ),
        ("/etc/cron.d/renew.sh", "0644 @daily root /opt/x/renew.sh\n"),
        ("/etc/cron.daily/renew-certs", "0755 #!/bin/sh\npkill -HUP keylime_verifier\n"),
        ("/opt/x/renew.sh", "0777 #!/bin/sh\nbao write pki/issue/x\n"),
        ("/opt/x/older.sh", "0755 #!/bin/sh\nbao write pki/issue/x\n"),
        ("/etc/debian_version", "0644 12.1\n"),
        ("/var/spool/cron/crontabs/root", "0600 17 2 * * 0 omens renew --all"),
    ]);
    let found: Vec<String> = findings
        .iter()
        .filter(|f| f.severity >= Severity::Medium || f.id == "script.orphan")
        .map(|f| format!("{} {}", f.id, f.files[0]))
        .collect();
    for expected in [
        "script.absent /etc/crontab:2",
        "script.tls-off /etc/crontab:1",
        "cron.malformed /etc/crontab:4",
        "cron.ignored /etc/cron.d/renew.sh",
        "reload.ends-service /etc/cron.daily/renew-certs:2",
        "script.writable /opt/x/renew.sh",
        "script.orphan /opt/x/older.sh",
        "cron.ignored /var/spool/cron/crontabs/root",
    ] {
        assert!(found.iter().any(|found| found == expected), "{expected}: {found:#?}");
    }
    let day = 86_400;
    let periods: Vec<(u64, bool)> = scripts.timers.iter().map(|timer| (timer.period.unwrap().as_secs(), timer.renews)).collect();
    assert_eq!(periods, [(day, false), (day, true), (day, true), (7 * day, true), (day, true)]);
}

#[test]
fn hostile_scripts_end() {
    let long = format!("#!/bin/sh\n{}\n", "a ".repeat(400_000));
    let many = format!("#!/bin/sh\n{}", "A=$A$B; bao write -field=certificate pki/issue/x > /etc/x.crt\n".repeat(20_000));
    let (_, findings) =
        look(&[("/opt/a.sh", &long), ("/opt/b.sh", &many), ("/opt/c.sh", "#!/bin/sh\n/opt/c.sh; /opt/d.sh"), ("/opt/d.sh", "/opt/c.sh")]);
    assert!(findings.len() < 10, "{}", findings.len());
}

#[test]
fn the_scripts_of_one_unit_are_read_alone() {
    let top = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        fs::create_dir_all(top.path().join(path).parent().unwrap()).unwrap();
        fs::write(top.path().join(path), text).unwrap();
    };
    put("etc/systemd/system/a.service", "[Service]\nUMask=0077\nExecStart=/bin/sh /opt/a.sh\n");
    put("opt/a.sh", "pkill -HUP keylime_verifier\njq -r .data.private_key x > /opt/x.key\n");
    put("opt/b.sh", "pkill -HUP keylime_verifier\n");
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let units = systemd::unit(&view, "a.service", &mut findings).unwrap();
    assert_eq!(of_units(&view, &units.commands, &mut findings).files, [PathBuf::from("/opt/a.sh")]);
    let found: Vec<&str> = findings.list().iter().map(|f| f.id.as_str()).collect();
    assert_eq!(found, ["reload.ends-service", "script.overwrites-live"]);
}
