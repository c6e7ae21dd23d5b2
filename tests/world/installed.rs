//! What lies at consumers' own paths, as links and as copies: each way in which it can be wrong is told, and nothing else is.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use omens::model::code::Code;
use omens::model::entry::Outcome;
use omens::model::state::Proof;
use omens::plan::inventory::Depth;
use omens::plan::{inventory, links};

use crate::host::{Cert, Host};
use crate::time_of_day;

const WEB: Cert = Cert { name: "web", daemons: &[0] };

fn host(install: impl FnOnce(&Host) -> String) -> Host {
    let mut host = Host::new(&[WEB]);
    let install = format!("role = \"web\"\ninstall = [ {} ]\n", install(&host));
    host.configure(|text| text.replacen("role = \"web\"\n", &install, 1));
    host
}

/// What consumers lack of the certificate, in words.
fn lacks(host: &Host) -> String {
    let found = inventory::take(&host.settings, &[&host.settings.certificates[0]], Depth::Whole).expect("the trees");
    found.certificates.into_iter().next().expect("one").tree.expect("its trees").unpublished.unwrap_or_default()
}

#[test]
fn a_link_is_where_it_should_be_or_it_is_told_what_is_there() {
    let _turn = time_of_day::take();
    let dir = |host: &Host| host.path("etc");
    // Copies are no links, wherever they lie.
    let copies = |host: &Host| format!("{{ dir = \"{}\", cert = \"copy.crt\", as = \"copy\" }}", host.path("copies").display());
    let host =
        host(|host| format!("{}, {{ dir = \"{}\", cert = \"web.crt\", bundle = \"roots.pem\" }}", copies(host), dir(host).display()));
    let missing = || links::missing(&host.settings, &host.settings.certificates[0]).unwrap_or_default();
    assert_eq!(missing(), format!("the directory {} does not exist", dir(&host).display()));
    std::fs::create_dir(dir(&host)).expect("a directory");
    let (cert, roots) = (dir(&host).join("web.crt"), dir(&host).join("roots.pem"));
    assert_eq!(missing(), format!("the link {} is missing", roots.display()));
    symlink(host.path("run/trust/bundle.pem"), &roots).expect("a link");
    assert_eq!(missing(), format!("the link {} is missing", cert.display()));
    let target = host.path("run/web/live/cert.pem");
    symlink(host.path("run/web/live/key.pem"), &cert).expect("a link");
    let told =
        format!("the link {} leads to {}, expected {}", cert.display(), host.path("run/web/live/key.pem").display(), target.display());
    assert_eq!(missing(), told);
    std::fs::remove_file(&cert).expect("a link");
    std::fs::write(&cert, "").expect("a file");
    assert_eq!(missing(), format!("{} is a file, expected a link to {}", cert.display(), target.display()));
    std::fs::remove_file(&cert).expect("a file");
    symlink(&target, &cert).expect("a link");
    assert_eq!(missing(), "");
}

#[test]
fn what_no_link_leads_to_is_committed_and_said_and_nobody_is_asked() {
    let _turn = time_of_day::take();
    let host = host(|host| format!("{{ dir = \"{}\", cert = \"web.crt\" }}", host.path("etc").display()));
    let report = host.renew();
    let web = &report.certificates[0];
    let codes: Vec<Code> = web.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!((web.outcome, web.proof, codes), (Outcome::Renewed, Some(Proof::None), vec![Code::NotInstalled]), "{report:#?}");
    assert_eq!((host.events.take(), host.live("state", "web").as_deref()), (vec!["sign web".to_owned()], Some("gen-1")));
}

#[test]
fn a_copy_that_is_not_what_is_committed_is_told_and_what_is_not_ours_is_left_out() {
    type Row = (&'static str, &'static str, fn(PathBuf));
    let rows: [Row; 8] = [
        ("nothing", "", |_| ()),
        ("others' files beside it", "", |dir| {
            for name in [".web.key.0123", ".web.key.0123456789abcdeg", "web.key.0123456789abcdef", ".other.0123456789abcdef"] {
                std::fs::write(dir.join(name), "").expect("a file");
            }
        }),
        ("a killed run", "was left by a run that was killed", |dir| {
            std::fs::write(dir.join(".web.key.0123456789abcdef"), "").expect("a file");
        }),
        ("a copy is gone", "web.crt is gone", |dir| std::fs::remove_file(dir.join("web.crt")).expect("a file")),
        ("all of them", "is gone", |dir| std::fs::remove_dir_all(dir).expect("a directory")),
        ("a byte more", "web.crt differs from what is committed", |dir| {
            let text = std::fs::read_to_string(dir.join("web.crt")).expect("a copy");
            std::fs::write(dir.join("web.crt"), text + "\n").expect("a copy");
        }),
        ("a key for everybody", "web.key differs from what is committed", |dir| {
            std::fs::set_permissions(dir.join("web.key"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
        }),
        ("a link to the same", "web.crt differs from what is committed", |dir| {
            std::fs::rename(dir.join("web.crt"), dir.join("moved")).expect("a file");
            symlink("moved", dir.join("web.crt")).expect("a link");
        }),
    ];
    for (what, told, change) in rows {
        let _turn = time_of_day::take();
        let host = host(|host| {
            let etc = host.path("etc");
            std::fs::create_dir(&etc).expect("a directory");
            format!("{{ dir = \"{}\", cert = \"web.crt\", key = \"web.key\", as = \"copy\" }}", etc.display())
        });
        assert_eq!(host.renew().exit, 0);
        let mode = |file: &str| host.path("etc").join(file).metadata().expect("a copy").permissions().mode() & 0o7777;
        assert_eq!((mode("web.crt"), mode("web.key")), (0o644, 0o600));
        change(host.path("etc"));
        let lacks = lacks(&host);
        assert!(lacks.contains(told) && lacks.is_empty() == told.is_empty(), "{what}: {lacks}");
        // A run puts it right, and asks nobody to sign for it.
        let signed = host.authority.signed();
        if what != "all of them" {
            assert_eq!(host.renew().exit, 0, "{what}");
            assert_eq!((self::lacks(&host).as_str(), host.authority.signed()), ("", signed), "{what}");
        }
    }
}
