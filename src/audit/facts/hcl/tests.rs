//! Both forms, faults, and files that want to hurt.

use super::parse::VALUES;
use super::*;

fn good(text: &str) -> Body {
    let (body, fault) = parse(text);
    assert_eq!(fault, None, "{text}");
    body
}

#[test]
fn both_forms_say_the_same() {
    let hcl = good(
        "plugins {\n  NodeAttestor \"x509pop\" {\n    plugin_data {\n      ca = \"/a\"\n    }\n  }\n  NodeAttestor \"join_token\" {}\n}\n",
    );
    let json = good("{\"plugins\": {\"NodeAttestor\": [{\"x509pop\": {\"plugin_data\": {\"ca\": \"/a\"}}}, {\"join_token\": {}}]}}");
    for body in [&hcl, &json] {
        let (plugins, _) = body.bodies("plugins").next().unwrap();
        let names: Vec<&str> = plugins.labelled("NodeAttestor").map(|(item, _)| item.key.as_str()).collect();
        assert_eq!(names, ["x509pop", "join_token"]);
        let (_, block) = plugins.labelled("NodeAttestor").next().unwrap();
        assert_eq!(block.bodies("plugin_data").next().unwrap().0.text("ca").unwrap().0, "/a");
    }
    let (plugins, _) = hcl.bodies("plugins").next().unwrap();
    assert_eq!(plugins.labelled("NodeAttestor").map(|(item, _)| item.line).collect::<Vec<_>>(), [2, 7]);
}

#[test]
fn values_are_what_hcl_takes_them_for() {
    let body = good(
        "a = \"x\\ty\\\"z\" // no\nb = 0x1F # no\nc = true\nd = [\"1\", 2,\n 3,]\n/* no\n e = 1 */ f = <<EOT\none\ntwo\nEOT\n\"g\" = -1.5e3\nh = <<-X\n  in\n  X\ni = \"${file(\"a b\")}\" j = 8200\nk { l = 1 m = 2 }\nc = false\n",
    );
    let text = |key: &str| body.text(key).unwrap();
    assert_eq!(text("a"), ("x\ty\"z".to_owned(), 1));
    assert_eq!(text("b"), ("0x1F".to_owned(), 2));
    assert_eq!(text("c"), ("false".to_owned(), 17), "the last one wins");
    assert_eq!(body.get("d").unwrap().value.texts(), ["1", "2", "3"]);
    assert!(body.get("e").is_none(), "a commented option is not set");
    assert_eq!(text("f").0, "one\ntwo\n");
    assert_eq!(text("g").0, "-1.5e3");
    assert_eq!(text("h").0.trim(), "in");
    assert_eq!((text("i").0.as_str(), text("j").0.as_str()), ("${file(\"a b\")}", "8200"));
    assert_eq!(body.bodies("k").next().unwrap().0.text("m").unwrap().0, "2");
}

#[test]
fn escapes_heredocs_and_numbers_are_hcls() {
    let body = good("a = \"\\x41\\101\\u00e9\"\nb = <<X\n one\n  X\nc = <<-X\n  one\n    two\n  X\nd = .5\ne = -0x1f\n");
    let text = |key: &str| body.text(key).unwrap().0;
    assert_eq!((text("a").as_str(), text("b").as_str(), text("c").as_str()), ("AA\u{e9}", " one\n  ", "one\n  two\n"));
    for (text, words) in [
        ("a = \"\\q\"", "escape"),
        ("a = \"\\u12\"", "escape"),
        ("a = <<-X\none\nX\n", "heredoc"),
        ("a = <<X\none\nX \n", "heredoc"),
        ("a = 079", "number"),
        ("a = 0x", "number"),
        ("a = +5", "value"),
        ("a = 5m", "after a name"),
        ("a = [1 2]", "comma"),
        ("{\"a\": [null]}", "a value"),
        ("a \"b\" = 1", "labels"),
        ("true = 1", "name"),
        ("a = null", "quotes"),
        ("a : 1", "after a name"),
    ] {
        let (_, fault) = parse(text);
        let fault = fault.unwrap_or_else(|| panic!("{text}"));
        assert!(fault.expected.contains(words), "{text}: {fault:?}");
    }
}

#[test]
fn a_fault_has_its_line_and_what_came_before_it() {
    let deep = format!("a = {}", "[".repeat(5000));
    let bodies = "a {".repeat(5000);
    let labels = "a ".repeat(5000);
    let cases: &[(&str, u32, &str)] = &[
        ("a = 1\nb = yes\n", 2, "quotes"),
        ("a = 1\nb = \"x\nc = 2\n", 2, "quote"),
        ("a = 1\nl {\n b = 2\n", 4, "closing brace"),
        ("a = 1\nb\n}", 3, "after a name"),
        ("a = 1\n}\n", 2, "name"),
        ("a = 1\nb = <<EOF\nx\n", 2, "heredoc"),
        ("a = 1\nb = [1, 2\n", 3, "bracket"),
        ("a = 1\n/* x\n", 2, "comment"),
        ("a = 1\nb = ", 2, "value"),
        ("{\"a\": 1\n} x", 2, "end"),
        (&deep, 1, "depth"),
        (&bodies, 1, "depth"),
        (&labels, 1, "value"),
    ];
    for (text, line, words) in cases {
        let (body, fault) = parse(text);
        let fault = fault.unwrap_or_else(|| panic!("{text:.40}"));
        assert!(fault.line == *line && fault.expected.contains(words), "{text:.40}: {fault:?}");
        if text.starts_with("a = 1") {
            assert_eq!(body.text("a").unwrap().0, "1", "{text}");
        }
    }
}

#[test]
fn hostile_files_end() {
    for text in [
        "\u{feff}a = 1",
        "\0\0\0",
        "\"",
        "<<",
        "<<\n",
        "a = <<-\n",
        "a = \"${",
        "a = \"\\",
        "/",
        "{",
        "{{",
        "[",
        "=",
        "a = -",
        "é = 1",
        "{,}",
    ] {
        let (_, _) = parse(text);
    }
    let (body, _) = parse("\u{feff}a = 1");
    assert_eq!(body.text("a").unwrap().0, "1");
    let many = "a = 1\n".repeat(VALUES + 10);
    let (body, fault) = parse(&many);
    assert!(body.items.len() <= VALUES && fault.is_some());
    let quotes = "a = \"${\"".repeat(50_000);
    assert!(parse(&quotes).1.is_some());
}
