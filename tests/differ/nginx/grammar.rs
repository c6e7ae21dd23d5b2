//! Sound configurations: what nginx takes as it is. Addresses are this host's own loopback.

use super::tree::Node;
use crate::choice::{Random, number, once, pick};

/// Directives that may stand in `http` (h), `server` (s) and `location` (l), with values that they take.
const ANYWHERE: &[(&str, &str, &[&str])] = &[
    ("sendfile", "hsl", &["on", "off"]),
    ("tcp_nopush", "hsl", &["on", "off"]),
    ("keepalive_timeout", "hsl", &["65", "75s", "10s 5s", "0", "1m"]),
    ("client_max_body_size", "hsl", &["10m", "0", "8k", "1G"]),
    ("client_body_timeout", "hsl", &["10s", "1m", "60"]),
    ("client_header_buffer_size", "hs", &["1k", "4096"]),
    ("large_client_header_buffers", "hs", &["4 8k"]),
    ("server_tokens", "hsl", &["on", "off", "build"]),
    ("gzip", "hsl", &["on", "off"]),
    ("gzip_types", "hsl", &["text/css", "text/css application/json", "*"]),
    ("gzip_comp_level", "hsl", &["1", "9"]),
    ("gzip_min_length", "hsl", &["20", "1000"]),
    ("gzip_vary", "hsl", &["on", "off"]),
    ("default_type", "hsl", &["text/plain", "application/octet-stream"]),
    ("charset", "hsl", &["utf-8", "off"]),
    ("root", "hsl", &["html", "/srv/www", "/srv/$host"]),
    ("index", "hsl", &["index.html", "index.html index.htm", "index.$geo.html /index.html"]),
    ("autoindex", "hsl", &["on", "off"]),
    ("etag", "hsl", &["on", "off"]),
    ("expires", "hsl", &["30d", "max", "off", "-1", "epoch", "@15h30m", "modified +1h"]),
    ("add_header", "hsl", &["X-A b", "Strict-Transport-Security 'max-age=1; includeSubDomains' always", "X-B $host"]),
    ("error_page", "hsl", &["404 /404.html", "500 502 503 /50x.html", "404 =200 /empty", "403 =301 https://a.example/"]),
    ("access_log", "hsl", &["off", "/dev/null", "/dev/null combined", "/dev/null combined buffer=4k flush=1m"]),
    ("error_log", "hsl", &["stderr", "stderr warn", "stderr crit"]),
    ("log_not_found", "hsl", &["on", "off"]),
    ("open_file_cache", "hsl", &["off", "max=100 inactive=20s"]),
    ("limit_rate", "hsl", &["0", "100k", "$rate"]),
    ("resolver", "hsl", &["127.0.0.1", "127.0.0.1:53 [::1] valid=30s ipv6=off"]),
    ("resolver_timeout", "hsl", &["5s"]),
    ("allow", "hsl", &["127.0.0.1", "10.0.0.0/8", "::1", "all", "unix:"]),
    ("deny", "hsl", &["192.168.1.1", "all", "2001:db8::/32"]),
    ("satisfy", "hsl", &["any", "all"]),
    ("auth_basic", "hsl", &["off", "'the back room'", "$realm"]),
    ("auth_basic_user_file", "hsl", &["htpasswd", "/etc/$host.passwd"]),
    ("proxy_http_version", "hsl", &["1.0", "1.1"]),
    (
        "proxy_set_header",
        "hsl",
        &["Host $host", "Upgrade $http_upgrade", "X-For $proxy_add_x_forwarded_for", "Connection ''", "X-Dn $ssl_client_s_dn"],
    ),
    ("proxy_buffering", "hsl", &["on", "off"]),
    ("proxy_buffers", "hsl", &["8 4k", "16 8k"]),
    ("proxy_buffer_size", "hsl", &["4k", "16k"]),
    ("proxy_read_timeout", "hsl", &["60s", "1h", "90"]),
    ("proxy_connect_timeout", "hsl", &["5s"]),
    ("proxy_redirect", "hsl", &["off", "default", "http://a/ /", "~^http://x(/.*)$ $1"]),
    ("proxy_next_upstream", "hsl", &["error timeout", "off", "error http_502 non_idempotent"]),
    ("proxy_ssl_verify", "hsl", &["off"]),
    ("proxy_ssl_server_name", "hsl", &["on", "off"]),
    ("proxy_ssl_name", "hsl", &["v.example", "$host", "$proxy_host"]),
    ("proxy_ssl_protocols", "hsl", &["TLSv1.2 TLSv1.3"]),
    ("proxy_ssl_trusted_certificate", "hsl", &["one.crt"]),
    ("proxy_ssl_session_reuse", "hsl", &["on", "off"]),
    ("proxy_ssl_verify_depth", "hsl", &["1", "2"]),
    ("proxy_hide_header", "hsl", &["X-Powered-By"]),
    ("proxy_intercept_errors", "hsl", &["on"]),
    ("proxy_cookie_path", "hsl", &["/ /x/", "/a /b", "off"]),
    ("proxy_cache", "hsl", &["off", "store"]),
    ("proxy_cache_valid", "hsl", &["200 302 10m", "any 1m", "5m"]),
    ("proxy_cache_key", "hsl", &["$scheme$proxy_host$request_uri"]),
    ("grpc_read_timeout", "hsl", &["60s"]),
    ("fastcgi_param", "hsl", &["SCRIPT_FILENAME $document_root$fastcgi_script_name", "HTTPS $https if_not_empty"]),
    ("fastcgi_index", "hsl", &["index.php"]),
    ("uwsgi_param", "hsl", &["QUERY_STRING $query_string"]),
    ("ssl_protocols", "hs", &["TLSv1.2 TLSv1.3", "TLSv1.2", "TLSv1.3"]),
    (
        "ssl_ciphers",
        "hs",
        &["HIGH:!aNULL:!MD5", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", "'EECDH+AESGCM:EDH+AESGCM'", "DEFAULT"],
    ),
    ("ssl_prefer_server_ciphers", "hs", &["on", "off"]),
    ("ssl_session_cache", "hs", &["shared:SSL:10m", "off", "none", "builtin:1000 shared:SSL:10m", "builtin"]),
    ("ssl_session_timeout", "hs", &["10m", "1d", "5m 30s"]),
    ("ssl_session_tickets", "hs", &["on", "off"]),
    ("ssl_buffer_size", "hs", &["4k"]),
    ("ssl_ecdh_curve", "hs", &["auto", "prime256v1", "X25519:prime256v1"]),
    ("ssl_verify_depth", "hs", &["1", "3"]),
    ("ssl_client_certificate", "hs", &["one.crt"]),
    ("ssl_trusted_certificate", "hs", &["one.crt"]),
    ("ssl_early_data", "hs", &["on", "off"]),
    ("ssl_conf_command", "hs", &["Options KTLS", "Ciphersuites TLS_AES_128_GCM_SHA256"]),
    ("server_name_in_redirect", "hsl", &["on", "off"]),
    ("port_in_redirect", "hsl", &["on", "off"]),
    ("absolute_redirect", "hsl", &["on", "off"]),
    ("underscores_in_headers", "hs", &["on", "off"]),
    ("merge_slashes", "hs", &["on", "off"]),
    ("real_ip_header", "hsl", &["X-Real-IP", "proxy_protocol"]),
    ("set_real_ip_from", "hsl", &["10.0.0.0/8", "unix:"]),
    ("types_hash_max_size", "hsl", &["1024", "2048"]),
    ("limit_req", "hsl", &["zone=slow burst=5 nodelay", "zone=slow"]),
    ("limit_conn", "hsl", &["few 10", "more 100"]),
    ("mirror", "hsl", &["off", "/mirror", "/other"]),
    ("sub_filter", "hsl", &["a b", "'</head>' '$host</head>'"]),
    ("include", "hsl", &["headers.conf", "absent/*.conf", "headers.c*"]),
    ("try_files", "sl", &["$uri $uri/ =404", "$uri /index.php?$args", "/x @back"]),
    ("rewrite", "sl", &["^/old/(.*)$ /new/$1 permanent", "^ https://$host$request_uri? redirect", "/a /b last", "'^/x{1,3}$' /y break"]),
    ("return", "sl", &["301 https://$host$request_uri", "404", "200 'fine $remote_addr'", "https://a.example/", "444"]),
    ("set", "sl", &["$kind 1", "$back 127.0.0.1:8080", "$cors '${cors}x'"]),
    ("internal", "l", &[""]),
    ("stub_status", "sl", &["", "on"]),
    ("limit_except_none", "", &[""]),
    ("alias", "l", &["/srv/files/", "/srv/$host/"]),
    (
        "proxy_pass",
        "l",
        &[
            "http://127.0.0.1:8080",
            "https://127.0.0.1:8443/",
            "http://back",
            "https://back/x",
            "http://$back",
            "http://unix:/run/x.sock:/y",
            "http://[::1]:80",
        ],
    ),
    ("grpc_pass", "l", &["grpc://127.0.0.1:50051", "grpcs://back", "127.0.0.1:1"]),
    ("fastcgi_pass", "l", &["unix:/run/php.sock", "127.0.0.1:9000", "back"]),
    ("uwsgi_pass", "l", &["127.0.0.1:3031"]),
    ("empty_gif", "l", &[""]),
    ("auth_request", "hsl", &["/auth", "off"]),
    ("auth_request_set", "hsl", &["$who $upstream_http_x_who"]),
];
/// What may stand in a block more than once.
const MANY: &[&str] = &[
    "add_header",
    "allow",
    "deny",
    "proxy_set_header",
    "fastcgi_param",
    "uwsgi_param",
    "error_page",
    "rewrite",
    "set",
    "set_real_ip_from",
    "proxy_hide_header",
    "proxy_cache_valid",
    "include",
    "access_log",
    "auth_request_set",
];
/// What may do so with another value, but not beside `off`.
const SEVERAL: &[&str] = &["limit_conn", "mirror", "proxy_cookie_path", "proxy_redirect"];
/// One of these is enough in a location.
const HANDLERS: &[&str] = &["proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "alias", "root", "return", "stub_status", "empty_gif"];

/// What may stand behind an upstream's server.
pub const UPSTREAM: &[&str] = &["", "weight=5", "max_fails=3 fail_timeout=30s", "down", "max_conns=10"];

pub fn configuration(random: &mut Random) -> Vec<Node> {
    let mut list = outer(random);
    list.push(Node::block("http", http(random)));
    list
}

/// What stands outside of the modules' blocks.
pub fn outer(random: &mut Random) -> Vec<Node> {
    let mut list = vec![Node::line("pid nginx.pid"), Node::line("error_log stderr")];
    for line in [
        "worker_processes 1",
        "worker_processes auto",
        "worker_rlimit_nofile 1024",
        "pcre_jit on",
        "timer_resolution 100ms",
        "env PATH",
        "worker_shutdown_timeout 10s",
    ] {
        if once(random, 5) && !(line.starts_with("worker_processes") && list.iter().any(|node| node.name == "worker_processes")) {
            list.push(Node::line(line));
        }
    }
    let mut events = vec![Node::line("worker_connections 512")];
    if once(random, 3) {
        events.push(Node::line(pick(random, &["multi_accept on", "use epoll", "accept_mutex off"])));
    }
    list.push(Node::block("events", events));
    list
}

/// Some lines that may stand in this kind of block.
fn lines(random: &mut Random, kind: char, most: usize) -> Vec<Node> {
    let mut list: Vec<Node> = Vec::new();
    for _ in 0..random.below(most + 1) {
        let (name, kinds, values) = ANYWHERE[random.below(ANYWHERE.len())];
        let is_there = |name: &str| list.iter().any(|node| node.name == name);
        let handled = HANDLERS.contains(&name) && list.iter().any(|node| HANDLERS.contains(&node.name.as_str()));
        // It is asked for with a file of passwords beside it, and in `http` it would keep everything out.
        if !kinds.contains(kind) || (is_there(name) && !MANY.contains(&name)) || (handled && kind == 'l') {
            continue;
        }
        if SEVERAL.contains(&name) && once(random, 2) {
            list.extend(
                values.iter().filter(|value| !matches!(**value, "off" | "default")).map(|value| Node::line(&format!("{name} {value}"))),
            );
            continue;
        }
        let value = pick(random, values);
        if name == "access_log" && (value == "off" || is_there(name)) && is_there(name) {
            continue;
        }
        list.push(Node::line(&format!("{name} {value}")));
    }
    list
}

pub fn http(random: &mut Random) -> Vec<Node> {
    let mut list: Vec<Node> = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| Node::line(&format!("{name}_temp_path tmp/{name}")))
        .collect();
    for line in [
        "log_format short '$remote_addr - $request'",
        "limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/s",
        "limit_conn_zone $binary_remote_addr zone=few:1m",
        "limit_conn_zone $server_name zone=more:1m",
        "proxy_cache_path tmp/cache levels=1:2 keys_zone=store:1m inactive=10m max_size=10m",
    ] {
        list.push(Node::line(line));
    }
    if once(random, 3) {
        list.push(Node::line("server_names_hash_bucket_size 128"));
    }
    list.push(Node::raw("map $http_upgrade $upgraded", vec![Node::line("default upgrade"), Node::line("'' close")]));
    list.push(Node::raw(
        "geo $geo",
        vec![Node::line("default x"), Node::line("proxy 10.0.0.1"), Node::line("proxy_recursive"), Node::line("10.0.0.0/8 y")],
    ));
    list.push(Node::raw(
        "map $host $rate",
        vec![Node::line("hostnames"), Node::line("default 0"), Node::line("*.example 10k"), Node::line("~^a\\.(?<part>b)$ 5k")],
    ));
    list.push(Node::raw("split_clients $remote_addr $realm", vec![Node::line("50% a"), Node::line("* b")]));
    list.push(Node::raw("map $uri $who", vec![Node::line("default ''")]));
    list.push(Node::raw("map $uri $Back", vec![Node::line("default 127.0.0.1:8080")]));
    list.push(Node::raw("map $uri $cors", vec![Node::line("default ''")]));
    if once(random, 2) {
        list.push(Node::raw("types", vec![Node::line("text/html html htm"), Node::line("text/css css")]));
    }
    list.push(Node::block("upstream back", upstream(random)));
    let more: Vec<Node> = lines(random, 'h', 14).into_iter().filter(|node| !list_has(&list, &node.name)).collect();
    list.extend(more);
    if !list_has(&list, "access_log") {
        list.push(Node::line("access_log off"));
    }
    for at in 0..number(random, 1, 3) {
        list.push(Node::block("server", server(random, at)));
    }
    list
}

fn list_has(list: &[Node], name: &str) -> bool {
    list.iter().any(|node| node.name == name)
}

fn upstream(random: &mut Random) -> Vec<Node> {
    let mut list = Vec::new();
    let method = pick(random, &["", "least_conn", "ip_hash", "hash $request_uri consistent", "random two least_conn", "zone back 64k"]);
    if !method.is_empty() {
        list.push(Node::line(method));
    }
    for at in 1..=number(random, 1, 3) {
        let more = pick(random, UPSTREAM);
        list.push(Node::line(&format!("server {}:80{at} {more}", pick(random, &["127.0.0.1", "[::1]", "localhost"]))));
    }
    if once(random, 3) {
        list.push(Node::line(pick(random, &["keepalive 16", "keepalive_timeout 60s", "keepalive_requests 100"])));
    }
    list
}

fn server(random: &mut Random, at: usize) -> Vec<Node> {
    let tls = once(random, 2);
    let port = 20_000 + at;
    let address = pick(random, &["127.0.0.1", "localhost", "[::1]"]);
    let more = pick(random, &["", "default_server", "backlog=16", "proxy_protocol", "deferred", "so_keepalive=30m::10", "bind"]);
    let ssl = if tls { "ssl " } else { "" };
    let mut list = vec![Node::line(&format!("listen {address}:{port} {ssl}{more}"))];
    if once(random, 5) {
        list.push(Node::line(&format!("listen unix:s{at}.sock {ssl}")));
    }
    let names: &[&str] = &[
        "_",
        "a.example",
        "a.example *.b.example",
        ".c.example",
        "~^www\\d+\\.example$",
        "''",
        "$hostname",
        "www.example.*",
        "~^(?<sub>.+)\\.d\\.example$",
    ];
    list.push(Node::line(&format!("server_name {}", pick(random, names))));
    if tls {
        list.push(Node::line("ssl_certificate one.crt"));
        list.push(Node::line("ssl_certificate_key one.key"));
        if once(random, 3) {
            list.push(Node::line(&format!("ssl_verify_client {}", pick(random, &["on", "optional", "off", "optional_no_ca"]))));
            list.push(Node::line("ssl_client_certificate one.crt"));
        }
        if once(random, 6) {
            list.push(Node::line("ssl_certificate two.crt"));
            list.push(Node::line("ssl_certificate_key two.key"));
        }
    }
    let more: Vec<Node> = lines(random, 's', 8).into_iter().filter(|node| !list_has(&list, &node.name)).collect();
    list.extend(more);
    list.push(Node::block("location @back", vec![Node::line("return 503")]));
    let mut paths: Vec<&str> = Vec::new();
    for _ in 0..random.below(5) {
        let path =
            pick(random, &["/", "= /x", "/api/", "~ \\.php$", "~* \\.(png|jpg)$", "^~ /static/", "/auth", "= /", "~ ^/u/(?<user>[a-z]+)/"]);
        if !paths.contains(&path) {
            paths.push(path);
            list.push(Node::block(&format!("location {path}"), location(random, path)));
        }
    }
    list
}

fn location(random: &mut Random, path: &str) -> Vec<Node> {
    let mut list = lines(random, 'l', 7);
    // With an expression, these may have no path of their own.
    if path.starts_with('~') {
        list.retain(|node| {
            !(node.name == "proxy_pass" && node.words.iter().any(|word| word.ends_with(['/', 'x', 'y']) && !word.contains('$')))
        });
    }
    if once(random, 4) {
        let condition = pick(
            random,
            &[
                "($request_method = POST)",
                "($http_user_agent ~* 'bot|crawl')",
                "(!-f $request_filename)",
                "($kind)",
                "($host != a.example)",
                "(-d /srv)",
            ],
        );
        let inside = pick(random, &["return 403", "set $kind 2", "rewrite ^ /x break", "add_header X y", "limit_rate_after $rate"]);
        list.push(Node::block(&format!("if {condition}"), vec![Node::line("set $kind 0"), Node::line(inside)]));
        list.insert(0, Node::line("set $kind 1"));
    }
    if once(random, 8) {
        list.push(Node::block("limit_except GET HEAD", vec![Node::line("deny all")]));
    }
    list
}
