//! Whole configurations in temporary directories: what is found in them, and what is not.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;

use super::*;
use crate::audit::facts::wiring::ClientAuth;
use crate::model::audit::Finding;
use crate::model::clock::Time;
use crate::model::finding::Severity;

fn look(files: &[(&str, &str)], start: &str) -> (Wiring, Vec<Finding>) {
    let top = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = top.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let wiring = read(&view, Path::new(start), &mut findings);
    (wiring, findings.into_document().findings)
}

/// A main file with this inside its `http`.
fn http(inside: &str) -> (Wiring, Vec<Finding>) {
    look(&[(MAIN, &format!("user www-data;\nevents {{}}\nhttp {{\n{inside}\n}}\n"))], MAIN)
}

fn ids(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}:{}", f.id, f.files[0].line.unwrap_or_default())).collect()
}

const TLS: &str = "ssl_certificate /c.pem; ssl_certificate_key /k.pem;";

#[test]
fn healthy_configurations_give_nothing_high() {
    let sound = "proxy_ssl_certificate p.crt; proxy_ssl_certificate_key p.key; proxy_ssl_verify on; proxy_ssl_trusted_certificate r.pem; proxy_ssl_name v.example; proxy_ssl_server_name on;";
    for text in [
        format!(
            "server {{ listen 80 default_server; listen [::]:80 default_server; server_name _; return 301 https://$host$request_uri; }} server {{ listen 443 ssl http2; listen [::]:443 ssl; server_name a.example; {TLS} ssl_protocols TLSv1.2 TLSv1.3; root /var/www; location / {{ try_files $uri =404; }} }}"
        ),
        format!(
            "{TLS} ssl_certificate /rsa.pem; ssl_certificate_key /rsa.key; server {{ listen 443 ssl; server_name a.example; }} server {{ listen 80; server_name a.example; }}"
        ),
        format!(
            "server {{ listen 443 ssl; {TLS} ssl_verify_client on; ssl_client_certificate r.pem; location / {{ proxy_pass https://10.0.0.1:8881; {sound} }} }}"
        ),
        format!(
            "server {{ listen 443 ssl; {TLS} ssl_verify_client optional; ssl_client_certificate r.pem; if ($ssl_client_verify != SUCCESS) {{ return 403; }} location / {{ proxy_pass https://10.0.0.1:8881; {sound} }} }}"
        ),
        format!(
            "map $ssl_client_s_dn $who {{ default 0; \"CN=x\" 1; }} server {{ listen 443 ssl; {TLS} ssl_verify_client optional; ssl_client_certificate r.pem; if ($who = 0) {{ return 403; }} location / {{ proxy_pass https://v.example:8881; {sound} }} }}"
        ),
        format!("server {{ listen unix:/run/p.sock; location / {{ proxy_pass https://10.0.0.1:8881; {sound} }} }}"),
        "server { listen 443 ssl default_server; ssl_reject_handshake on; }".to_owned(),
        format!("server {{ listen 443 ssl; {TLS} server_name a.example; location /api {{ proxy_pass http://127.0.0.1:8080; }} }}"),
        // Another server's line makes the address speak TLS.
        format!("server {{ listen 443 ssl; {TLS} server_name a.example; }} server {{ listen 443; {TLS} server_name b.example; }}"),
        "include conf.d/*.conf; server { listen 127.0.0.1:8080; location /nginx_status { stub_status; allow 127.0.0.1; deny all; } }"
            .to_owned(),
    ] {
        let (_, findings) = http(&text);
        let worst: Vec<&Finding> = findings.iter().filter(|f| f.severity >= Severity::Medium).collect();
        assert!(worst.is_empty(), "{text}\n{worst:#?}");
    }
}

#[test]
fn every_defect_is_found_at_its_line() {
    let mutual = "proxy_ssl_certificate /v.crt; proxy_ssl_certificate_key /v.key; proxy_ssl_verify on; proxy_ssl_trusted_certificate /r.pem; proxy_ssl_name v.example;";
    for (text, expected) in [
        ("server {\nlisten 443 ssl;\nssl_certificate /c.pem;\n}".to_owned(), "nginx.key-unset:6"),
        ("server {\nlisten 443 ssl;\n}".to_owned(), "nginx.certificate-unset:5"),
        (format!("server {{ listen 443 ssl; {TLS} }}\nserver {{\nlisten 443 ssl; server_name b;\n}}"), "nginx.certificate-of-default:6"),
        (format!("server {{\nlisten 443;\n{TLS}\n}}"), "nginx.plain-http:5"),
        (format!("server {{\nlisten 9881;\n{TLS}\n}}"), "nginx.plain-http:5"),
        ("server {\nlisten 443;\n}".to_owned(), "nginx.plain-http:5"),
        (format!("server {{ listen 443 ssl; {TLS}\nssl_verify_client on; }}"), "nginx.client-ca-unset:5"),
        (format!("server {{ listen 443 ssl; {TLS}\nssl_verify_client optional_no_ca; }}"), "nginx.client-unchecked:5"),
        (format!("ssl_protocols TLSv1 TLSv1.1;\nserver {{ listen 443 ssl; {TLS} }}"), "nginx.protocols-old:4"),
        (format!("server {{ listen 443 ssl; {TLS}\nssl_ciphers HIGH:RC4:aNULL; }}"), "nginx.ciphers-weak:5"),
        (format!("server {{ listen 127.0.0.1:9881;\nlocation / {{\nproxy_pass https://127.0.0.1:8881;\n{mutual} }} }}"), "nginx.identity-given-away:6"),
        (format!("server {{ listen 443 ssl; {TLS} ssl_verify_client off; {mutual}\nlocation / {{ proxy_pass https://v.example:8881; }} }}"), "nginx.identity-given-away:5"),
        ("server { listen 80; location / {\nproxy_pass https://v.example:8443; } }".to_owned(), "nginx.upstream-unverified:5"),
        ("server { listen 80; location / {\nproxy_ssl_verify on; \nproxy_pass https://v.example:8443; } }".to_owned(), "nginx.upstream-trust-unset:6"),
        ("proxy_ssl_verify on; proxy_ssl_trusted_certificate /r; server { listen 80; location / {\nproxy_pass https://10.0.0.1:8443; } }".to_owned(), "nginx.upstream-name:5"),
        ("upstream back { server 10.0.0.1:8881; }\nproxy_ssl_verify on; proxy_ssl_trusted_certificate /r; server { listen 80; location / {\nproxy_pass https://back; } }".to_owned(), "nginx.upstream-name:6"),
        ("upstream back { server 10.0.0.1; } server { listen 80; location / {\nproxy_pass https://back; } }".to_owned(), "nginx.upstream-scheme:5"),
        ("server { listen 80; location / {\nproxy_pass http://v.example:8881; } }".to_owned(), "nginx.upstream-scheme:5"),
        (format!("server {{ listen 443 ssl; server_name a; {TLS} }}\nserver {{ listen 443 ssl; server_name a; {TLS} }}"), "nginx.server-name-conflict:5"),
        ("server { listen 80 default_server; }\nserver { listen 80 default_server; server_name b; }".to_owned(), "nginx.listen-conflict:5"),
        ("server { listen 80;\nlisten 80; }".to_owned(), "nginx.listen-conflict:5"),
        (format!("server {{ listen 443 ssl; {TLS} server_name a;\nlocation /d {{\nalias /; }} }}"), "nginx.key-under-root:6"),
        ("server { listen 443 ssl;\nssl_certficate /c; }".to_owned(), "nginx.directive-unknown:5"),
        ("server { listen 443 ssl; location / {\nssl_certificate /c; } }".to_owned(), "nginx.directive-misplaced:5"),
        (format!("server {{ listen 443 ssl; {TLS}\nssl_verify_client yes; }}"), "nginx.value-invalid:5"),
        ("server { listen 443 ssl;\nssl_certificate /c\nssl_certificate_key /k; }".to_owned(), "nginx.value-invalid:5"),
        (format!("server {{ listen 443 ssl; {TLS} ssl_verify_client off;\nssl_verify_client off; }}"), "nginx.directive-twice:5"),
        ("server { listen 80; limit_conn a 1; limit_conn b 1;\nlimit_conn a 2; }".to_owned(), "nginx.directive-twice:5"),
        ("server { listen 80; mirror /a; mirror /b;\nmirror off; }".to_owned(), "nginx.directive-twice:5"),
        (format!("server {{ listen 443 ssl; {TLS}\nssl_password_file /none; }}"), "nginx.file-absent:5"),
        ("include conf.d/none.conf;".to_owned(), "nginx.include-absent:4"),
        ("include nginx.conf;".to_owned(), "nginx.include-loop:4"),
        ("server { listen 443 ssl; ssl_certificate /c;\nssl_certificate_key \"data:-----BEGIN PRIVATE KEY-----\"; }".to_owned(), "nginx.key-inline:5"),
        ("server { listen 443 ssl; ssl_certificate /c;\nssl_certificate_key engine:pkcs11:x; }".to_owned(), "nginx.key-elsewhere:5"),
        ("server { listen 443 ssl; ssl_certificate_key /k;\nssl_certificate $name.crt; }".to_owned(), "nginx.path-from-variable:5"),
        (format!("server {{ listen 443; {TLS}\nssl on; }}"), "nginx.ssl-on:5"),
        ("server { listen 80;\nproxy_pass http://10.0.0.1; }".to_owned(), "nginx.directive-misplaced:5"),
        ("server { listen 80; location / { if ($uri) {\nproxy_ssl_verify on; } } }".to_owned(), "nginx.directive-misplaced:5"),
        ("server { listen 8443;\nssl on; }".to_owned(), "nginx.certificate-unset:5"),
        ("server { listen 80; ".to_owned(), "input.malformed:3"),
    ] {
        let (_, findings) = http(&text);
        assert!(ids(&findings).iter().any(|id| id == expected), "{text}\nexpected {expected}, found {:?}", ids(&findings));
    }
}

#[test]
fn a_commented_option_is_not_set_and_a_backup_in_a_glob_is() {
    let site = format!("server {{ listen 443 ssl; server_name a.example;\n{TLS}\n# ssl_verify_client on;\n}}");
    let files = [
        (MAIN, "events {}\nhttp { include sites-enabled/*; include none/*.conf; }\n"),
        ("/etc/nginx/sites-enabled/a", site.as_str()),
        ("/etc/nginx/sites-enabled/a.bak", site.as_str()),
        ("/etc/nginx/sites-enabled/.a.swp", "}"),
    ];
    let (wiring, findings) = look(&files, MAIN);
    let found: Vec<(&str, &str)> = findings.iter().map(|f| (f.id.as_str(), f.files[0].path.as_str())).collect();
    let copy = "/etc/nginx/sites-enabled/a.bak";
    assert_eq!(found, [("nginx.backup-included", copy), ("nginx.server-name-conflict", copy)]);
    assert_eq!((wiring.pairs.len(), wiring.listeners[0].client_auth, wiring.files.len()), (2, ClientAuth::No, 3));
}

#[test]
fn what_nginx_is_told_is_wired_with_its_lines() {
    let text = "ssl_certificate tls/rsa.crt; ssl_certificate_key tls/rsa.key;\nserver { listen 8443 ssl; listen 127.0.0.1:80; server_name A.example *.b.example _;\nssl_certificate /ec.crt; ssl_certificate_key /ec.key;\nssl_certificate /rsa.crt; ssl_certificate_key /rsa.key; ssl_password_file /etc/nginx/nginx.conf;\nssl_verify_client on; ssl_client_certificate root.pem; ssl_trusted_certificate more.pem;\nlocation / { proxy_pass https://v.example:8881/;\nproxy_ssl_certificate p.crt; proxy_ssl_certificate_key p.key;\nproxy_ssl_verify on; proxy_ssl_trusted_certificate root.pem; proxy_ssl_name w.example; } }";
    let (wiring, _) = http(text);
    let pairs: Vec<(String, u32, bool)> = wiring
        .pairs
        .iter()
        .map(|p| {
            (format!("{} {}", p.certificate.display(), p.key.as_ref().unwrap().display()), p.consumer.location.line.unwrap(), p.passphrase)
        })
        .collect();
    let expected = [("/ec.crt /ec.key", 6, true), ("/rsa.crt /rsa.key", 7, true), ("/etc/nginx/p.crt /etc/nginx/p.key", 10, false)];
    assert_eq!(pairs, expected.map(|(files, line, pass)| (files.to_owned(), line, pass)));
    assert_eq!(wiring.pairs[0].names, ["a.example"]);
    let [tls, plain] = wiring.listeners.as_slice() else { panic!("{:?}", wiring.listeners) };
    assert_eq!((tls.port, tls.tls, tls.pairs.as_slice(), tls.client_auth), (8443, true, [0, 1].as_slice(), ClientAuth::Required));
    assert_eq!((plain.host.as_str(), plain.tls, plain.pairs.len(), plain.trust), ("127.0.0.1", false, 0, None));
    assert_eq!(wiring.trusts[tls.trust.unwrap()].files, ["/etc/nginx/root.pem", "/etc/nginx/more.pem"].map(PathBuf::from));
    let call = &wiring.connections[0];
    assert_eq!((call.host.as_str(), call.port, call.name.as_deref(), call.pair), ("v.example", 8881, Some("w.example"), Some(2)));
    assert_eq!(wiring.trusts[call.trust.unwrap()].files, [PathBuf::from("/etc/nginx/root.pem")]);
}

#[test]
fn what_an_absent_include_would_have_set_is_not_missed() {
    let (_, findings) = http("server { listen 443 ssl; include /run/omens/web/nginx.conf; ssl_verify_client on; }");
    assert_eq!(findings.iter().map(|f| (f.id.as_str(), f.severity)).collect::<Vec<_>>(), [("nginx.include-absent", Severity::Medium)]);
}

#[test]
fn a_stream_proxy_and_a_single_site_are_read_too() {
    let stream = "stream { server { listen 9881;\nproxy_pass 127.0.0.1:8881; proxy_ssl on; proxy_ssl_certificate /c; proxy_ssl_certificate_key /k; } }";
    let (wiring, findings) = look(&[(MAIN, stream)], MAIN);
    assert!(ids(&findings).contains(&"nginx.identity-given-away:2".to_owned()), "{findings:?}");
    assert_eq!((wiring.connections[0].port, wiring.connections[0].tls), (8881, true));
    let site = "/etc/nginx/sites-available/a";
    let (wiring, _) = look(&[(MAIN, ""), (site, "server { listen 443 ssl; ssl_certificate c; ssl_certificate_key k; }")], site);
    assert_eq!(wiring.pairs[0].certificate, PathBuf::from("/etc/nginx/c"));
}

#[test]
fn what_newer_versions_other_modules_and_parts_hold_is_no_alarm() {
    let main = |text: &str| look(&[(MAIN, text)], MAIN).1;
    let part = |text: &str| look(&[(MAIN, ""), ("/etc/nginx/part.conf", text)], "/etc/nginx/part.conf").1;
    for findings in [
        main("events {} stream { upstream b { server 127.0.0.1:1; } server { listen 1; proxy_pass b; proxy_next_upstream on; } }"),
        main("events {} stream { server { listen 1; return \"OK\\n\"; } }"),
        main("events {} stream { limit_conn_zone $binary_remote_addr zone=a:1m; server { listen 1; limit_conn a 1; return x; } }"),
        main("events {} mail { auth_http 127.0.0.1:9000; server { listen 25; protocol smtp; smtp_auth login plain; timeout 60s; } }"),
        main("events {} error_log stderr debug_mail;"),
        main("load_module modules/ngx_stream_module.so; events {} stream { server { listen 1; js_access main.access; js_filter main.filter; } }"),
        main("events {} stream { server { listen 1 default_server; server_name a.example; ssl_preread on; proxy_pass $ssl_preread_server_name:443; } }"),
        http("upstream b { zone b 64k; resolver 10.0.0.1; resolver_timeout 5s; server app.example resolve; }").1,
        http("map $host $Backend { default 127.0.0.1:80; } server { listen 80; location / { proxy_pass http://$backend; } }").1,
        http("server { listen 80; limit_conn perip 10; limit_conn perserver 100; location / { mirror /a; mirror /b; proxy_pass http://10.0.0.1; proxy_cookie_path / /a; proxy_cookie_path /x /b; } }").1,
        part("stream { server { listen 1; return x; } }"),
        part("http { server { listen 80; } }"),
    ] {
        let stops: Vec<&Finding> = findings.iter().filter(|f| f.severity > Severity::Low).collect();
        assert!(stops.is_empty(), "{stops:#?}");
    }
    // What the table says counts in full for the versions that answered, and those between them.
    let wrong = "events {}\nhttp { upstream b { server 127.0.0.1; root /x; } server { listen 80; root /a /b; } }";
    for (version, severity) in [("1.22.1-9", Severity::High), ("1.27.3-1", Severity::High), ("1.29.3-1", Severity::Low)] {
        let status = format!("Package: nginx\nStatus: install ok installed\nVersion: {version}\n\n");
        let (_, findings) = look(&[(MAIN, wrong), ("/var/lib/dpkg/status", &status)], MAIN);
        let found: Vec<(&str, Severity)> = findings
            .iter()
            .map(|f| (f.id.as_str(), f.severity))
            .filter(|(id, _)| id.contains("misplaced") || id.contains("value"))
            .collect();
        assert_eq!(found, [("nginx.directive-misplaced", severity), ("nginx.value-invalid", severity)], "{version}");
    }
}

#[test]
fn a_module_that_nobody_loads_is_missed_where_the_whole_is_seen() {
    let stream = "stream { server { listen 1; proxy_pass 10.0.0.1:1; } }";
    let whole = format!("load_module modules/ngx_stream_module.so;\nevents {{}}\ninclude {PART};\n");
    let status = "Package: nginx-common\nStatus: install ok installed\nVersion: 1.22.1-9\n\n";
    const PART: &str = "/etc/nginx/stream.conf";
    for (main, text, start, missed) in [
        (format!("events {{}}\n{stream}"), "", MAIN, true),
        (stream.to_owned(), "", MAIN, true),
        (String::new(), &*format!("events {{}}\n{stream}"), PART, true),
        // What includes it loads the module.
        (whole.clone(), stream, PART, false),
        (whole, stream, MAIN, false),
    ] {
        let (_, findings) = look(&[(MAIN, &main), (PART, text), ("/var/lib/dpkg/status", status)], start);
        let found = findings.iter().any(|finding| finding.id == "nginx.directive-unknown");
        assert_eq!(found, missed, "{main} {text} {start}: {findings:#?}");
    }
}

#[test]
fn a_dump_is_read_like_the_files_it_is_of() {
    let text = "# configuration file /etc/nginx/nginx.conf:\nhttp {\ninclude conf.d/*.conf;\n}\n\n# configuration file /etc/nginx/conf.d/a.conf:\nserver {\nlisten 443 ssl;\nssl_certificate a.crt; ssl_certificate_key a.key; }\n";
    let top = tempfile::tempdir().unwrap();
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "h");
    let wiring = read_dump(text, &view, &mut findings);
    assert_eq!(wiring.pairs[0].consumer.location, Location::line("/etc/nginx/conf.d/a.conf", 3));
    assert!(read_dump("nothing", &view, &mut findings).pairs.is_empty() && findings.list().iter().any(|f| f.id == "input.malformed"));
}

#[test]
fn hostile_configurations_end() {
    let wide =
        format!("http {{ {} }}", "server { listen 443 ssl; server_name a; ssl_certificate c; ssl_certificate_key k; }\n".repeat(5_000));
    let deep = format!("http {{ {}", "location / {".repeat(50_000));
    let many = format!("http {{ {} }}", "include x.conf;".repeat(2_000));
    for text in [wide, deep] {
        let (_, findings) = look(&[(MAIN, &text)], MAIN);
        assert!(!findings.is_empty());
    }
    let next = "include y.conf;".repeat(2_000);
    let (_, findings) = look(&[(MAIN, &many), ("/etc/nginx/x.conf", &next), ("/etc/nginx/y.conf", "a;")], MAIN);
    assert!(findings.iter().any(|f| f.id == "input.malformed"));
}
