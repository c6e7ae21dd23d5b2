//! Sound servers of `stream` and `mail`: bytes that are passed on, TLS that ends here or begins here, and mail with and without STARTTLS.

use super::grammar::UPSTREAM;
use super::tree::Node;
use crate::choice::{Random, number, once, pick};

/// Directives of `stream` (h) and its servers (s), with values that they take.
const STREAM: &[(&str, &str, &[&str])] = &[
    ("access_log", "hs", &["off", "/dev/null short", "/dev/null short buffer=4k flush=1m"]),
    ("error_log", "hs", &["stderr", "stderr warn", "stderr debug_stream"]),
    ("allow", "hs", &["127.0.0.1", "10.0.0.0/8", "all", "unix:"]),
    ("deny", "hs", &["192.168.1.1", "all", "2001:db8::/32"]),
    ("limit_conn", "hs", &["each 10"]),
    ("limit_conn_log_level", "hs", &["info", "error"]),
    ("limit_conn_dry_run", "hs", &["on", "off"]),
    ("preread_buffer_size", "hs", &["16k", "4096"]),
    ("preread_timeout", "hs", &["30s", "5"]),
    ("proxy_bind", "hs", &["127.0.0.1", "$remote_addr transparent", "off"]),
    ("proxy_buffer_size", "hs", &["16k"]),
    ("proxy_connect_timeout", "hs", &["5s", "60"]),
    ("proxy_download_rate", "hs", &["0", "100k", "$slow"]),
    ("proxy_upload_rate", "hs", &["1m"]),
    ("proxy_half_close", "hs", &["on", "off"]),
    ("proxy_next_upstream", "hs", &["on", "off"]),
    ("proxy_next_upstream_timeout", "hs", &["0", "10s"]),
    ("proxy_next_upstream_tries", "hs", &["0", "2"]),
    ("proxy_protocol", "hs", &["on", "off"]),
    ("proxy_protocol_timeout", "hs", &["30s"]),
    ("proxy_requests", "hs", &["0", "1"]),
    ("proxy_responses", "hs", &["1"]),
    ("proxy_socket_keepalive", "hs", &["on"]),
    ("proxy_timeout", "hs", &["10m", "1h", "30"]),
    ("resolver", "hs", &["127.0.0.1", "127.0.0.1:53 [::1] valid=30s ipv6=off"]),
    ("resolver_timeout", "hs", &["5s"]),
    ("set_real_ip_from", "hs", &["10.0.0.0/8", "unix:"]),
    ("ssl_alpn", "hs", &["h2", "h2 http/1.1"]),
    ("ssl_handshake_timeout", "hs", &["10s", "60"]),
    ("ssl_preread", "hs", &["on", "off"]),
    ("tcp_nodelay", "hs", &["on", "off"]),
    ("set", "s", &["$kind 1", "$kind '$server_port'"]),
    ("include", "hs", &["absent/*.conf"]),
];
/// Directives of TLS that `stream` and `mail` share with `http`.
const TLS: &[(&str, &[&str])] = &[
    ("ssl_protocols", &["TLSv1.2 TLSv1.3", "TLSv1.3"]),
    ("ssl_ciphers", &["HIGH:!aNULL:!MD5", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
    ("ssl_prefer_server_ciphers", &["on", "off"]),
    ("ssl_session_cache", &["shared:SSL:10m", "off", "none", "builtin"]),
    ("ssl_session_timeout", &["10m", "1d"]),
    ("ssl_session_tickets", &["on", "off"]),
    ("ssl_ecdh_curve", &["auto", "prime256v1"]),
    ("ssl_verify_depth", &["1", "3"]),
    ("ssl_trusted_certificate", &["one.crt"]),
    ("ssl_conf_command", &["Options KTLS"]),
];
/// Directives of `mail` and its servers.
const MAIL: &[(&str, &[&str])] = &[
    ("auth_http_header", &["X-Key secret", "X-Auth 'a b'"]),
    ("auth_http_pass_client_cert", &["on", "off"]),
    ("auth_http_timeout", &["60s", "5"]),
    ("error_log", &["stderr", "stderr debug_mail"]),
    ("imap_auth", &["plain", "login cram-md5", "external"]),
    ("imap_capabilities", &["IMAP4 IMAP4rev1 UIDPLUS", "'IMAP4rev1' 'LITERAL+'"]),
    ("imap_client_buffer", &["4k", "8k"]),
    ("max_errors", &["5", "1"]),
    ("pop3_auth", &["plain", "apop cram-md5"]),
    ("pop3_capabilities", &["TOP USER UIDL"]),
    ("proxy_buffer", &["4k"]),
    ("proxy_pass_error_message", &["on", "off"]),
    ("proxy_protocol", &["on", "off"]),
    ("proxy_smtp_auth", &["on", "off"]),
    ("proxy_timeout", &["24h", "60"]),
    ("resolver", &["127.0.0.1", "off"]),
    ("resolver_timeout", &["30s"]),
    ("server_name", &["mail.example"]),
    ("set_real_ip_from", &["10.0.0.0/8"]),
    ("smtp_auth", &["login plain", "none", "cram-md5 external"]),
    ("smtp_capabilities", &["'SIZE 10485760' 8BITMIME"]),
    ("smtp_client_buffer", &["4k"]),
    ("smtp_greeting_delay", &["0", "5s"]),
    ("timeout", &["60s", "5m"]),
    ("xclient", &["on", "off"]),
];
/// What may stand in a block more than once.
const MANY: &[&str] = &["allow", "deny", "access_log", "set_real_ip_from", "auth_http_header", "include", "set"];

/// Adds a line to a block unless there is one of its name.
fn add(list: &mut Vec<Node>, name: &str, value: &str) {
    if MANY.contains(&name) && value != "off" || !list.iter().any(|node| node.name == name) {
        // Nothing stands beside `off`.
        if !list.iter().any(|node| node.name == name && node.words.iter().any(|word| word == "off")) {
            list.push(Node::line(&format!("{name} {value}")));
        }
    }
}

fn tls(random: &mut Random, list: &mut Vec<Node>, most: usize) {
    for _ in 0..random.below(most + 1) {
        let (name, values) = TLS[random.below(TLS.len())];
        add(list, name, pick(random, values));
    }
}

/// Certificate and key, with what belongs to them.
fn shown(random: &mut Random, list: &mut Vec<Node>) {
    list.push(Node::line("ssl_certificate one.crt"));
    list.push(Node::line("ssl_certificate_key one.key"));
    if once(random, 3) {
        list.push(Node::line(&format!("ssl_verify_client {}", pick(random, &["on", "optional", "off", "optional_no_ca"]))));
        list.push(Node::line("ssl_client_certificate one.crt"));
    }
    tls(random, list, 4);
}

pub fn stream(random: &mut Random) -> Vec<Node> {
    let mut list = vec![
        Node::line("log_format short '$remote_addr $protocol $status $bytes_sent $upstream_addr'"),
        Node::line("limit_conn_zone $binary_remote_addr zone=each:1m"),
        Node::raw(
            "map $ssl_preread_server_name $behind",
            vec![Node::line("hostnames"), Node::line("default back"), Node::line("*.a.example 127.0.0.1:8443")],
        ),
        Node::raw("geo $slow", vec![Node::line("default 0"), Node::line("10.0.0.0/8 10k")]),
        Node::raw("split_clients $remote_addr $some", vec![Node::line("50% back"), Node::line("* 127.0.0.1:2")]),
    ];
    let mut back = Vec::new();
    let method = pick(
        random,
        &["", "least_conn", "hash $remote_addr consistent", "hash $ssl_preread_server_name", "random two least_conn", "zone back 64k"],
    );
    back.extend((!method.is_empty()).then(|| Node::line(method)));
    for at in 1..=number(random, 1, 3) {
        back.push(Node::line(&format!("server 127.0.0.1:80{at} {}", pick(random, UPSTREAM))));
    }
    list.push(Node::block("upstream back", back));
    some(random, &mut list, 'h', 5);
    for at in 0..number(random, 1, 3) {
        let server = stream_server(random, at);
        list.push(Node::block("server", server));
    }
    list
}

fn some(random: &mut Random, list: &mut Vec<Node>, kind: char, most: usize) {
    for _ in 0..random.below(most + 1) {
        let (name, kinds, values) = STREAM[random.below(STREAM.len())];
        if kinds.contains(kind) {
            add(list, name, pick(random, values));
        }
    }
}

fn stream_server(random: &mut Random, at: usize) -> Vec<Node> {
    let address = pick(random, &["127.0.0.1", "localhost", "[::1]"]);
    let ends = once(random, 3);
    let more = pick(random, &["", "backlog=16", "proxy_protocol", "so_keepalive=30m::10", "bind", "reuseport"]);
    let more = if ends {
        format!("ssl {more}")
    } else if once(random, 6) {
        "udp".to_owned()
    } else {
        more.to_owned()
    };
    let mut list = vec![Node::line(&format!("listen {address}:{} {more}", 21_000 + at))];
    if ends {
        shown(random, &mut list);
    }
    match random.below(6) {
        0 => list.push(Node::line(&format!("return {}", pick(random, &["hello", "'$time_iso8601 $remote_addr'", "$ssl_cipher"])))),
        1 => {
            list.push(Node::line("ssl_preread on"));
            list.push(Node::line("proxy_pass $behind"));
        }
        2 => {
            list.push(Node::line("proxy_ssl on"));
            list.push(Node::line("proxy_pass back"));
            called(random, &mut list);
        }
        _ => list.push(Node::line(&format!(
            "proxy_pass {}",
            pick(random, &["back", "127.0.0.1:5432", "unix:/run/x.sock", "[::1]:636", "$some", "localhost:1"])
        ))),
    }
    some(random, &mut list, 's', 5);
    list
}

/// How a server that is called over TLS is judged.
fn called(random: &mut Random, list: &mut Vec<Node>) {
    if once(random, 2) {
        list.push(Node::line("proxy_ssl_verify on"));
        list.push(Node::line("proxy_ssl_trusted_certificate one.crt"));
    }
    if once(random, 3) {
        list.push(Node::line("proxy_ssl_certificate one.crt"));
        list.push(Node::line("proxy_ssl_certificate_key one.key"));
    }
    for line in [
        "proxy_ssl_name v.example",
        "proxy_ssl_name $ssl_preread_server_name",
        "proxy_ssl_server_name on",
        "proxy_ssl_protocols TLSv1.3",
        "proxy_ssl_verify_depth 2",
        "proxy_ssl_session_reuse off",
    ] {
        if once(random, 4) {
            let (name, value) = line.split_once(' ').expect("two words");
            add(list, name, value);
        }
    }
}

pub fn mail(random: &mut Random) -> Vec<Node> {
    let mut list =
        vec![Node::line(&format!("auth_http {}", pick(random, &["127.0.0.1:9000/auth", "http://127.0.0.1/mail", "localhost:9000"])))];
    if once(random, 2) {
        shown(random, &mut list);
    }
    few(random, &mut list, 5);
    let has = list.iter().any(|node| node.name == "ssl_certificate");
    for at in 0..number(random, 1, 3) {
        let protocol = pick(random, &["imap", "pop3", "smtp"]);
        // Of these ports nginx knows the protocol.
        let usual = match protocol {
            "imap" => 143,
            "pop3" => 110,
            _ => 25,
        };
        let by_port = once(random, 4);
        let kind = random.below(4);
        let port = if by_port { usual } else { 22_000 + at };
        let address = format!("127.0.0.{}:{port}", at + 1);
        let mut server =
            vec![Node::line(&format!("listen {address} {}", if kind == 0 { "ssl" } else { pick(random, &["", "backlog=16", "bind"]) }))];
        if !by_port || once(random, 2) {
            server.push(Node::line(&format!("protocol {protocol}")));
        }
        if kind == 1 {
            server.push(Node::line(&format!("starttls {}", pick(random, &["on", "only", "off"]))));
        }
        if (kind < 2 && !has) || once(random, 6) {
            shown(random, &mut server);
        }
        few(random, &mut server, 3);
        list.push(Node::block("server", server));
    }
    list
}

fn few(random: &mut Random, list: &mut Vec<Node>, most: usize) {
    for _ in 0..random.below(most + 1) {
        let (name, values) = MAIL[random.below(MAIL.len())];
        add(list, name, pick(random, values));
    }
}
