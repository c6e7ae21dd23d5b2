//! `chain-audit` of a host whose nginx has hundreds of files, as hosts have that serve many names: the same files each time.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::estate::omens;
use crate::lab::pki::{Ca, Leaf, ec_key};
use crate::lab::place;
use crate::measure::{Cost, measure, ms};
use crate::{CLIENT, beside, figure, part, times};

/// One main file, eight that others include, one of upstreams for every ten sites, and the sites.
const SITES: usize = 328;
const SHARED: usize = 8;
const UPSTREAMS: usize = 33;
const FILES: usize = 1 + SHARED + UPSTREAMS + SITES;
/// So many sites share a certificate.
const OF_ONE: usize = 8;
const ROUNDS: usize = 5;

/// Each file in its place below `nginx`, all of it what nginx takes.
fn files(nginx: &Path) {
    let write = |name: &str, text: &str| std::fs::write(nginx.join(name), text).expect("a file");
    for directory in ["snippets", "conf.d", "sites-enabled", "tls"] {
        std::fs::create_dir_all(nginx.join(directory)).expect("a directory");
    }
    write(
        "nginx.conf",
        "user www-data;\nworker_processes auto;\npid /run/nginx.pid;\nevents { worker_connections 1024; }\nhttp {\n    sendfile on;\n    \
         server_tokens off;\n    types { text/html html htm; text/css css; application/json json; }\n    default_type application/octet-stream;\n    \
         ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:TLS:10m;\n    access_log /var/log/nginx/access.log;\n    \
         map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n    include conf.d/*.conf;\n    include sites-enabled/*;\n}\n",
    );
    let shared: [(&str, &str); SHARED] = [
        (
            "proxy",
            "proxy_http_version 1.1;\nproxy_set_header Host $host;\nproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\nproxy_set_header X-Forwarded-Proto $scheme;\n",
        ),
        (
            "websocket",
            "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\nproxy_read_timeout 1h;\n",
        ),
        (
            "headers",
            "add_header Strict-Transport-Security \"max-age=63072000\" always;\nadd_header X-Content-Type-Options nosniff always;\n",
        ),
        (
            "tls",
            "ssl_session_timeout 1d;\nssl_session_tickets off;\nssl_prefer_server_ciphers off;\nssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;\n",
        ),
        ("acme", "location ^~ /.well-known/acme-challenge/ {\n    root /var/www/acme;\n    default_type text/plain;\n}\n"),
        ("static", "location ~* \\.(?:css|js|svg|woff2)$ {\n    expires 7d;\n    access_log off;\n}\n"),
        ("errors", "error_page 500 502 503 504 /50x.html;\n"),
        ("inside", "allow 10.0.0.0/8;\nallow 127.0.0.1;\ndeny all;\n"),
    ];
    for (name, text) in shared {
        write(&format!("snippets/{name}.conf"), text);
    }
    for group in 0..UPSTREAMS {
        let mut text = String::new();
        for site in (group * 10..SITES).take(10) {
            let port = 8000 + site;
            writeln!(text, "upstream app{site} {{\n    server 127.0.0.1:{port} max_fails=3;\n    server 10.0.1.{group}:{port} backup;\n    keepalive 16;\n}}")
                .expect("text");
        }
        write(&format!("conf.d/upstreams-{group:02}.conf"), &text);
    }
    for site in 0..SITES {
        write(&format!("sites-enabled/{site:03}.conf"), &of_site(site));
    }
}

/// A redirect, and the site itself behind TLS.
fn of_site(site: usize) -> String {
    let (tenant, name) = (site / OF_ONE, format!("app{site}.t{}.funlab.casa", site / OF_ONE));
    let inside = if site.is_multiple_of(7) { "        include snippets/inside.conf;\n" } else { "" };
    format!(
        "# {name}\nserver {{\n    listen 80;\n    listen [::]:80;\n    server_name {name};\n    include snippets/acme.conf;\n    \
         location / {{ return 301 https://$host$request_uri; }}\n}}\nserver {{\n    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n    \
         server_name {name};\n    ssl_certificate tls/{tenant}.pem;\n    ssl_certificate_key tls/{tenant}.key;\n    \
         include snippets/tls.conf;\n    include snippets/headers.conf;\n    include snippets/errors.conf;\n    root /srv/{name};\n    \
         include snippets/static.conf;\n    location / {{\n        include snippets/proxy.conf;\n        proxy_pass http://app{site};\n    }}\n    \
         location /ws/ {{\n        include snippets/proxy.conf;\n        include snippets/websocket.conf;\n        \
         proxy_pass http://app{site}/;\n    }}\n    location /admin/ {{\n{inside}        include snippets/proxy.conf;\n        \
         proxy_pass http://app{site};\n    }}\n}}\n"
    )
}

/// The files of one audit, from outside as from a mounted disk.
pub fn host(dir: &Path, middle: &Ca, anchor: &Path) {
    part(&format!("a host of {FILES} nginx files (median of {ROUNDS})"));
    let root = dir.join("many-files");
    let nginx = root.join("etc/nginx");
    files(&nginx);
    for tenant in 0..SITES.div_ceil(OF_ONE) {
        let names: Vec<String> = (0..OF_ONE).map(|at| format!("app{}.t{tenant}.funlab.casa", tenant * OF_ONE + at)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (key, leaf) = (ec_key(), Leaf::server(names[0], &names, &[], time::Duration::DAY));
        std::fs::write(nginx.join(format!("tls/{tenant}.pem")), middle.leaf(&key, &leaf).pem() + &middle.pem).expect("a chain");
        place::write_secret(&nginx.join(format!("tls/{tenant}.key")), &key.serialize_pem());
    }
    let mut command = Command::new(omens());
    command.args(["chain-audit", "--no-config", "--fail-on", "none", "--json", "--anchor"]).arg(anchor).arg("--root").arg(&root);
    let report = command.output().expect("a report").stdout;
    let report: serde_json::Value = serde_json::from_slice(&report).expect("a report");
    let chains = report["chains"].as_array().map_or(0, Vec::len);
    let high: Vec<&serde_json::Value> =
        report["findings"].as_array().expect("findings").iter().filter(|one| one["severity"] == "high").collect();
    assert!(chains == SITES.div_ceil(OF_ONE) && high.is_empty(), "{chains} chains were judged, of a host that is well: {high:#?}");
    let costs: Vec<Cost> = (0..ROUNDS).map(|_| measure(&command, Some(CLIENT))).collect();
    let wall = times(&costs, |cost| cost.wall);
    figure("omens chain-audit --root DIR, JSON report", &ms(wall), "under 1 s", wall < Duration::from_secs(1));
    beside("  peak memory", &format!("{:.0} MiB", crate::peak(&costs)));
}
