//! The version of a program, where the package manager of the host says it: dpkg and apk in text, others not at all.

use std::path::Path;

use crate::io::look::View;

/// Major, minor and patch level.
pub type Version = [u32; 3];

const DPKG: &str = "/var/lib/dpkg/status";
const APK: &str = "/lib/apk/db/installed";

/// The version of the first of these packages that is installed.
#[must_use]
pub fn version(view: &View, packages: &[&str]) -> Option<Version> {
    let dpkg = view.text(Path::new(DPKG)).ok().and_then(|text| of(&text, packages, ["Package: ", "Version: "]));
    dpkg.or_else(|| view.text(Path::new(APK)).ok().and_then(|text| of(&text, packages, ["P:", "V:"])))
}

/// Paragraphs of `name: value`; one whose package was removed has a status that says so.
fn of(text: &str, packages: &[&str], [package, version]: [&str; 2]) -> Option<Version> {
    let field = |paragraph: &str, name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
    text.split("\n\n").find_map(|paragraph| {
        let name = field(paragraph, package)?;
        let gone = paragraph.lines().any(|line| line.starts_with("Status: ") && !line.ends_with(" installed"));
        if gone || !packages.contains(&name.as_str()) {
            return None;
        }
        parse(&field(paragraph, version)?)
    })
}

/// `1:1.22.1-9+deb12u3`, `2.7.2`.
fn parse(text: &str) -> Option<Version> {
    let bare = text.split_once(':').map_or(text, |(_, rest)| rest).trim_start_matches('v');
    let mut numbers = bare.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some([numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0), numbers.next().and_then(Result::ok).unwrap_or(0)])
}

/// In words.
#[must_use]
pub fn words([major, minor, patch]: Version) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_package_managers_keep() {
        let dpkg = "Package: nginx-common\nStatus: install ok installed\nVersion: 1.22.1-9+deb12u3\n\nPackage: nginx\nStatus: deinstall ok config-files\nVersion: 1.18.0\n\nPackage: openbao\nStatus: install ok installed\nVersion: 2:2.7.2\n";
        let fields = ["Package: ", "Version: "];
        assert_eq!(of(dpkg, &["nginx", "nginx-common"], fields), Some([1, 22, 1]));
        assert_eq!(of(dpkg, &["nginx"], fields), None);
        assert_eq!(of(dpkg, &["openbao"], fields), Some([2, 7, 2]));
        assert_eq!(of("P:nginx\nV:1.28.0-r3\n", &["nginx"], ["P:", "V:"]), Some([1, 28, 0]));
        assert_eq!((parse("x"), parse("3")), (None, Some([3, 0, 0])));
    }
}
