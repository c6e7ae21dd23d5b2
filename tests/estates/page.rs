//! The HTML report in a real browser: it stands, fits narrow and wide windows, its filters work, and it prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::skipped::skipped;
use crate::{build, spec};

const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Put behind the page: measures it, uses its filters, and writes what came of it into the document.
const LOOK: &str = r#"<script>{
const shown = () => [...document.querySelectorAll(".finding")].filter((f) => getComputedStyle(f).display !== "none").length;
const all = shown();
const form = document.querySelector("form.counts");
const set = (change) => { change(); form.dispatchEvent(new Event("input")); return shown(); };
const [high] = [...form.elements.severity].filter((box) => box.value === "high");
const result = {
  all,
  withoutHigh: set(() => { high.checked = false; }),
  again: set(() => { high.checked = true; }),
  byWord: set(() => { form.elements.words.value = "eku.absent"; }),
  noSuch: set(() => { form.elements.words.value = "no such word"; }),
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  bars: [...document.querySelectorAll(".life span")].filter((bar) => bar.getBoundingClientRect().height > 3).length,
  boxes: [...document.querySelectorAll(".tree .link")].filter((box) => box.getBoundingClientRect().width > 150).length,
};
document.body.insertAdjacentHTML("beforeend", `<output>${JSON.stringify(result)}</output>`);
}</script>"#;

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).flat_map(|directory| BROWSERS.map(|name| directory.join(name))).find(|file| file.is_file());
    if found.is_none() {
        skipped("the HTML report was not looked at: no Chromium (Debian: chromium-headless-shell)");
    }
    found
}

fn browse(browser: &Path, arguments: &[&str], page: &Path) -> Output {
    let profile = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(browser);
    // Root has no sandbox there; the page is our own.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).args(arguments).arg(page);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the browser starts");
    let until = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("its state").is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        // A dump is longer than a pipe holds: leave the reading to wait_with_output.
        if arguments.contains(&"--dump-dom") {
            break;
        }
    }
    if Instant::now() >= until {
        child.kill().ok();
    }
    child.wait_with_output().expect("its end")
}

/// A page with findings of several hosts.
fn report(directory: &Path) -> String {
    let wanted = ["nginx-without-eku", "nginx-expired", "healthy-spire"];
    let mut files = Vec::new();
    for estate in spec::read(Path::new(crate::CORPUS)).iter().filter(|estate| wanted.contains(&estate.name.as_str())) {
        let file = directory.join(format!("{}.json", estate.name));
        let top = directory.join(&estate.name);
        build::build(estate, &top);
        let lost = std::fs::read_to_string(top.join("estate.toml")).expect("estate.toml");
        std::fs::write(top.join("estate.toml"), lost.replacen("spire.funlab.casa", &format!("{}.funlab.casa", estate.name), 1))
            .expect("it");
        let report = omens(&["chain-audit", "--no-config", "--json", "--at", build::AT, "--root", top.to_str().expect("UTF-8")]);
        std::fs::write(&file, report).expect("a report");
        files.push(file.display().to_string());
    }
    assert_eq!(files.len(), wanted.len());
    let mut arguments = vec!["chain-audit", "merge", "--format", "html"];
    arguments.extend(files.iter().map(String::as_str));
    String::from_utf8(omens(&arguments)).expect("UTF-8")
}

fn omens(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_omens")).args(arguments).output().expect("omens");
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_page_stands_in_a_browser_and_its_filters_work() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (html, page) = (report(directory.path()), directory.path().join("report.html"));
    std::fs::write(&page, html.replace("</body>", &format!("{LOOK}</body>"))).expect("the page");
    for window in ["--window-size=1200,900", "--window-size=500,900"] {
        let output = browse(&browser, &[window, "--dump-dom"], &page);
        let dom = String::from_utf8_lossy(&output.stdout);
        let result = dom.rsplit_once("<output>").and_then(|(_, rest)| rest.split_once("</output>")).map(|(inside, _)| inside);
        let result = result.unwrap_or_else(|| panic!("no result: {}", String::from_utf8_lossy(&output.stderr)));
        let seen: serde_json::Value = serde_json::from_str(result).unwrap_or_else(|why| panic!("{why}: {result}"));
        let number = |name: &str| seen[name].as_i64().expect("a number");
        let all = number("all");
        assert!(all > 3 && number("withoutHigh") < all && number("again") == all, "{seen}");
        assert!(number("byWord") == 1 && number("noSuch") == 0, "{seen}");
        assert_eq!(number("overflow"), 0, "{window}: wider than the window: {seen}");
        assert!(number("bars") > 3 && number("boxes") > 5, "{seen}");
    }
}

#[test]
fn the_page_is_seen_and_prints() {
    let Some(browser) = browser() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("report.html");
    std::fs::write(&page, report(directory.path())).expect("the page");
    let (picture, print) = (directory.path().join("report.png"), directory.path().join("report.pdf"));
    browse(&browser, &["--window-size=1100,1800", &format!("--screenshot={}", picture.display())], &page);
    browse(&browser, &[&format!("--print-to-pdf={}", print.display())], &page);
    let (picture, print) = (std::fs::read(&picture).expect("a picture"), std::fs::read(&print).expect("a print"));
    // An empty page of this size is a picture of some 9 kB.
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 60_000, "{} bytes", picture.len());
    assert!(print.starts_with(b"%PDF") && print.len() > 30_000, "{} bytes", print.len());
}
