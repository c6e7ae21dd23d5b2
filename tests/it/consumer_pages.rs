//! The pages for consumers: every block of settings on them is one that `check-config` accepts, and names a driver that there is.

use std::path::Path;

use crate::lab::estate::{Authority, Estate};
use crate::lab::pki::{Ca, CaKeys, ROOT};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/units/consumers");

/// The TOML of a page; a block may name the file that it is for.
fn settings(page: &str) -> String {
    let blocks = page.split("```toml").skip(1).filter_map(|rest| rest.split("```").next()?.split_once('\n')).map(|(_, block)| block);
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_page_has_settings_that_are_accepted() {
    let ca = Ca::root(ROOT, CaKeys::Ec);
    let mut drivers = Vec::new();
    for entry in std::fs::read_dir(PAGES).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let page = std::fs::read_to_string(entry.path()).unwrap();
        if name == "README.md" {
            continue;
        }
        let text = settings(&page);
        assert!(text.contains("[[certificate]]") && !text.contains("systemctl"), "{name} has no settings to copy");
        // Accounts that this machine does not have are those of the packages.
        let text: String = text.lines().filter(|line| !line.starts_with("group = ")).map(|line| format!("{line}\n")).collect();
        let estate = Estate::new("pages", Authority::token("https://127.0.0.1:1".into(), &ca.pem, "none"));
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/certificates");
        for policy in std::fs::read_dir(shipped).unwrap().flatten() {
            std::fs::copy(policy.path(), estate.dir.join("policies/certificates").join(policy.file_name())).unwrap();
        }
        std::fs::write(estate.settings(), format!("{}{text}", estate.settings_text())).unwrap();
        let checked = estate.omens(&["check-config"]);
        assert_eq!((checked.code, checked.json["certificates"].as_u64()), (0, Some(1)), "{name}: {checked}");
        let driver = omens::steps::service::DRIVERS.iter().find(|kind| text.contains(&format!("{} = {{ unit", kind.name)));
        drivers.push(driver.unwrap_or_else(|| panic!("{name} names no driver by its unit")).name);
        assert!(
            std::fs::read_to_string(Path::new(PAGES).join("README.md")).unwrap().contains(&format!("({name})")),
            "{name} is not in the README"
        );
    }
    drivers.sort_unstable();
    drivers.dedup();
    let all = ["keylime_agent", "keylime_registrar", "keylime_verifier", "nginx", "openbao", "spire_agent", "spire_server", "systemd"];
    assert_eq!(drivers, all);
}
