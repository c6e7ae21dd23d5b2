//! What people get wrong: names, places, values, files, what excludes each other, and the text itself.

use super::tree::Node;
use crate::choice::{Random, misspelled, number, once, pick};

/// Values that are right somewhere and wrong elsewhere.
const VALUES: &[&str] = &[
    "maybe",
    "10x",
    "-1",
    "''",
    "0",
    "99999999999999999999",
    "$nonesuch",
    "${nonesuch}",
    "${host}",
    "on",
    "off",
    "1k",
    "10s",
    "1",
    "absent.pem",
    "1.5",
    "3M",
    "5y",
    "TLSv1.9",
    "a=b",
    "=",
    "/",
    "*",
    "[",
    "~",
    "'two words'",
    "$",
    "200",
    "443",
    "utf-8",
    "ON",
    "garbage.pem",
    "empty.pem",
    "one.key",
    "two.crt",
    "one.crt",
    "two.key",
];
/// Lines that are right at some places only.
const LINES: &[&str] = &[
    "listen 127.0.0.1:9999",
    "server_name x.example",
    "ssl_certificate one.crt",
    "proxy_pass http://127.0.0.1:1",
    "root html",
    "worker_connections 10",
    "return 301 /x",
    "rewrite ^/a /b last",
    "set $x 1",
    "try_files $uri =404",
    "internal",
    "alias /srv",
    "sendfile on",
    "server 127.0.0.1:1",
    "keepalive 8",
    "include headers.conf",
    "include absent.conf",
    "include absent/*.conf",
    "include empty/*",
    "include sites/*",
    "include broken.conf",
    "include loop.conf",
    "include words.txt",
    "gzip on",
    "allow all",
    "deny 10.0.0.0/33",
    "allow 10.0.0.1/8",
    "allow x",
    "expires 10d",
    "expires 10q",
    "error_page 404 /404.html",
    "error_page 200 /x",
    "error_page 404",
    "add_header X",
    "add_header X y never",
    "limit_req zone=absent",
    "limit_conn absent 1",
    "limit_rate 10k",
    "break",
    "ssl on",
    "http2 on",
    "stub_status",
    "auth_basic_user_file absent",
    "auth_basic off",
    "access_log off",
    "access_log absent/x.log",
    "access_log /dev/null absent",
    "resolver 127.0.0.1",
    "resolver 300.0.0.1",
    "proxy_pass 127.0.0.1:1",
    "proxy_pass http://",
    "proxy_pass unix:/x",
    "proxy_set_header X",
    "user nobody",
    "daemon off",
    "ssl_protocols TLSv1.4",
    "ssl_ciphers NOSUCH",
    "ssl_ciphers HIGH:!aNULL",
    "ssl_ecdh_curve nosuch",
    "ssl_session_cache shared:a",
    "ssl_session_cache none:",
    "ssl_verify_client on",
    "ssl_client_certificate absent.pem",
    "ssl_dhparam one.crt",
    "ssl_trusted_certificate garbage.pem",
    "ssl_crl one.crt",
    "ssl_password_file absent",
    "ssl_stapling on",
    "ssl_conf_command Options KTLS",
    "ssl_conf_command Nonsense x",
    "proxy_ssl_verify on",
    "proxy_ssl_certificate one.crt",
    "grpc_pass grpc://127.0.0.1:1",
    "fastcgi_pass unix:/run/x.sock",
    "uwsgi_pass 127.0.0.1:1",
    "return",
    "return 99999",
    "return 200 'a $nonesuch'",
    "rewrite ( /b",
    "set x 1",
    "map_hash_bucket_size 33",
    "types_hash_max_size 2048",
    "server_tokens build",
    "server_tokens maybe",
    "keepalive_timeout 65 60",
    "keepalive_timeout 65 60 55",
    "client_max_body_size 10mb",
    "large_client_header_buffers 4 8k",
    "large_client_header_buffers 4",
    "open_file_cache max=10",
    "open_file_cache 10",
    "proxy_cache absent",
    "proxy_cache_path cache keys_zone=c:1m",
    "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s",
    "limit_req_zone $binary_remote_addr zone=z rate=1r/s",
    "log_format main '$remote_addr'",
    "log_format other '$nonesuch'",
    "charset utf-8",
    "default_type text/plain",
    "etag on",
    "satisfy any",
    "satisfy some",
    "auth_request /auth",
    "mirror off",
    "dav_methods PUT",
    "dav_methods GET",
    "autoindex on",
    "random_index on",
    "proxy_http_version 1.1",
    "proxy_http_version 3",
    "proxy_next_upstream error timeout",
    "proxy_next_upstream never",
    "proxy_buffers 8 4k",
    "proxy_buffers 8",
    "proxy_busy_buffers_size 1m",
    "proxy_cookie_path / /x",
    "proxy_method GET",
    "slice 1m",
    "sub_filter a b",
    "real_ip_header X-Real-IP",
    "set_real_ip_from 10.0.0.0/8",
    "set_real_ip_from x",
];
/// The same of `stream` and `mail`.
const OTHERS: &[&str] = &[
    "proxy_ssl on",
    "proxy_ssl yes",
    "proxy_ssl_verify on",
    "proxy_ssl_trusted_certificate absent.pem",
    "proxy_ssl_certificate one.crt",
    "ssl_preread on",
    "ssl_preread maybe",
    "ssl_certificate one.crt",
    "ssl_certificate_key two.key",
    "ssl_certificate absent.pem",
    "ssl_verify_client on",
    "ssl_client_certificate garbage.pem",
    "ssl_stapling on",
    "ssl_reject_handshake on",
    "ssl on",
    "listen 127.0.0.1:9998 ssl",
    "listen 127.0.0.1:9997 udp ssl",
    "listen 127.0.0.1:9996 udp",
    "listen 127.0.0.1:9995 default_server",
    "listen 127.0.0.1:9994 http2",
    "listen 127.0.0.1",
    "proxy_pass 127.0.0.1:1",
    "proxy_pass http://127.0.0.1:1",
    "proxy_pass 127.0.0.1",
    "proxy_pass back",
    "proxy_pass $nonesuch",
    "proxy_timeout 10",
    "proxy_protocol on",
    "proxy_next_upstream error",
    "return 200 hello",
    "return $host",
    "server_name x.example",
    "server 127.0.0.1:1",
    "server 127.0.0.1",
    "add_header X y",
    "starttls on",
    "starttls only",
    "starttls yes",
    "protocol imap",
    "protocol imaps",
    "auth_http 127.0.0.1:1/x",
    "auth_http https://127.0.0.1:1/x",
    "imap_auth ntlm",
    "smtp_auth login none",
    "proxy_smtp_auth on",
    "xclient maybe",
    "timeout 5x",
    "limit_conn absent 1",
    "limit_conn_log_level debug",
    "log_format other '$host'",
    "access_log /dev/null absent",
    "include absent.conf",
    "resolver 127.0.0.1",
    "upstream more { server 127.0.0.1:1; }",
    "root html",
    "location / { }",
];

/// What is written behind an address.
const PARAMETERS: &[&str] = &[
    "ssl sssl",
    "ssl default_server",
    "bind bind",
    "backlog=x",
    "ipv6only=maybe",
    "proxy_protocol",
    "so_keepalive=on",
    "reuseport",
    "setfib=1",
    "rcvbuf=1q",
];

/// Puts one mistake, seldom two, into a configuration; what they are, in words.
pub fn make(list: &mut Vec<Node>, random: &mut Random, lines: Lines) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..if once(random, 6) { 2 } else { 1 } {
        made.push(one(list, random, lines));
    }
    made
}

/// Lines that are put where they may be wrong.
pub type Lines = &'static [&'static str];

/// Those of `http`.
pub const HTTP: Lines = LINES;
/// Those of `stream` and `mail`.
pub const STREAM_AND_MAIL: Lines = OTHERS;

/// A block somewhere, with the directives in it.
fn somewhere<'a>(list: &'a mut Vec<Node>, random: &mut Random) -> &'a mut Vec<Node> {
    let blocks: Vec<usize> = (0..list.len()).filter(|at| list[*at].block.is_some() && !list[*at].raw).collect();
    if blocks.is_empty() || once(random, 4) {
        return list;
    }
    let at = blocks[random.below(blocks.len())];
    somewhere(list[at].block.as_mut().expect("a block"), random)
}

fn one(list: &mut Vec<Node>, random: &mut Random, lines: Lines) -> String {
    let kind = random.below(16);
    let inside = somewhere(list, random);
    if inside.is_empty() {
        inside.push(Node::line(pick(random, lines)));
        return "a line".to_owned();
    }
    let at = random.below(inside.len());
    if kind == 6 {
        let node = inside.remove(at);
        let name = node.name.clone();
        somewhere(list, random).push(node);
        return format!("{name} elsewhere");
    }
    here(inside, at, kind, random, lines)
}

/// A mistake at one place of a block.
fn here(inside: &mut Vec<Node>, at: usize, kind: usize, random: &mut Random, lines: Lines) -> String {
    let taken = inside[at].clone();
    let name = taken.name.clone();
    match kind {
        0 => {
            inside[at].name = misspelled(random, &name);
            format!("{name} misspelled")
        }
        1 => {
            inside.insert(at, taken);
            format!("{name} twice")
        }
        2 | 3 => {
            let value = pick(random, VALUES).to_owned();
            let words = &mut inside[at].words;
            match words.len() {
                0 => words.push(value.clone()),
                count => words[random.below(count)].clone_from(&value),
            }
            format!("{value} in {name}")
        }
        4 => {
            inside[at].words.push(pick(random, VALUES).to_owned());
            format!("one word more in {name}")
        }
        5 => {
            inside[at].words.pop();
            format!("one word less in {name}")
        }
        7 => {
            inside.remove(at);
            format!("no {name}")
        }
        8 => {
            let value = pick(random, PARAMETERS);
            if name == "listen" {
                inside[at].words.extend(value.split(' ').map(str::to_owned));
            } else {
                inside.insert(at, Node::line(&format!("listen 127.0.0.1:{} {value}", number(random, 20_000, 20_010))));
            }
            format!("listen {value}")
        }
        9 => "text".to_owned(),
        _ => {
            let line = pick(random, lines);
            inside.insert(at, Node::line(line));
            format!("the line {line}")
        }
    }
}

/// Mistakes of the text itself: what ends, opens and closes.
pub fn in_text(text: String, made: &[String], random: &mut Random) -> String {
    if !made.iter().any(|one| one == "text") {
        return text;
    }
    let places: Vec<usize> = text.char_indices().filter(|(_, c)| matches!(c, ';' | '{' | '}' | ' ' | '\n')).map(|(at, _)| at).collect();
    let at = places[random.below(places.len())];
    let (before, after) = text.split_at(at);
    match random.below(6) {
        0 | 1 => format!("{before}{}", &after[1..]),
        2 => format!(
            "{before}{}{after}",
            pick(random, &["{", "}", ";", "'", "\"", "\\", "#", "{ }", "\"a\"b", "'a';", "${", "$", "\u{feff}", "é", "\0"])
        ),
        3 => before.to_owned(),
        4 => format!("{before}{}", after[1..].replacen(['}', ';'], "", 1)),
        _ => format!("{before} '{}' {after}", "x".repeat(number(random, 1, 5_000))),
    }
}
