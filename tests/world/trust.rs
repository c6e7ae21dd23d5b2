//! A root that takes the place of another, step by step: who is asked at which step, and that nobody is asked twice.

use omens::config::settings::Part;
use omens::model::entry::Outcome;
use omens::model::report::Report;
use omens::plan::inventory::{self, Depth};

use crate::host::{Cert, Host};
use crate::pki::pem_blocks;
use crate::time_of_day;

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const API: Cert = Cert { name: "api", daemons: &[1] };
const DAY: i64 = 86_400;

fn outcomes(report: &Report) -> Vec<Outcome> {
    assert_eq!(report.exit, 0, "{report:#?}");
    report.certificates.iter().map(|certificate| certificate.outcome).collect()
}

fn roots(host: &Host, name: &str) -> Vec<Vec<u8>> {
    pem_blocks(&std::fs::read_to_string(host.path("run/trust").join(name)).expect("a trust file"))
}

/// `web` reads the bundle, `api` trusts nobody.
fn host() -> Host {
    let mut host = Host::new(&[WEB, API]);
    let etc = host.path("etc");
    std::fs::create_dir(&etc).expect("a directory");
    std::os::unix::fs::symlink(host.path("run/trust/bundle.pem"), etc.join("bundle.pem")).expect("a link");
    let install = format!("role = \"web\"\ninstall = [ {{ dir = \"{}\", bundle = \"bundle.pem\" }} ]\n", etc.display());
    host.configure(|text| text.replacen("role = \"web\"\n", &install, 1));
    assert_eq!(outcomes(&host.renew()), [Outcome::Renewed, Outcome::Renewed]);
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue]);
    host.events.take();
    host
}

#[test]
fn each_step_of_a_rotation_is_taken_up_once_and_nothing_is_signed_for_it() {
    let _turn = time_of_day::take();
    let mut host = host();
    let (old_authority, old) = (host.authority.clone(), host.authority.root.clone());
    let pin = |host: &Host| {
        let text = std::fs::read_to_string(host.path("omens.toml")).expect("settings");
        let line = |key: &str| text.lines().find(|line| line.starts_with(key)).expect("a line").to_owned();
        (line("anchor = "), line("anchor_sha256 = "))
    };
    let (anchor, print) = pin(&host);
    let (new_file, new_print) = host.another_authority();
    let (new, new_authority) = (host.authority.root.clone(), host.authority.clone());
    let new_anchor = (format!("anchor = \"{}\"", new_file.display()), format!("anchor_sha256 = \"{new_print}\""));

    // Known beside the old one: who reads it is asked, nobody else, and nothing is signed.
    let also = |(anchor, print): &(String, String)| format!("{print}\nalso = [ {{ {anchor}, {print} }} ]");
    host.authority = old_authority;
    host.configure(|text| text.replace(&print, &also(&new_anchor).replacen(&new_anchor.1, &print, 1)));
    assert_eq!(omens::plan::trust::dropped(&host.settings), []);
    assert_eq!(outcomes(&host.renew()), [Outcome::Settled, Outcome::NotDue]);
    assert_eq!(host.events.take(), ["ask 0", "look web"]);
    assert_eq!(roots(&host, "anchors.pem"), [old.clone(), new.clone()]);
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue]);

    // What failed is tried again until it is taken up.
    // Issued from the new one: both chains are in the bundle before anybody is asked, whichever group comes first.
    host.authority = new_authority;
    time_of_day::advance(DAY * 7 / 10);
    assert_eq!(outcomes(&host.renew()), [Outcome::Renewed, Outcome::Renewed]);
    let bundle = roots(&host, "bundle.pem");
    assert_eq!(bundle.len(), 3, "two roots, and the one intermediate that is in use");
    assert_eq!(roots(&host, "intermediates.pem"), bundle[2..]);
    host.events.take();
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue], "a renewal causes no second round");

    // The old root goes.
    host.configure(|text| {
        let start = text.find("also = [").expect("also");
        let end = start + text[start..].find('\n').expect("a line");
        let text = format!("{}{}", &text[..start], &text[end..]);
        text.replacen(&anchor, &new_anchor.0, 1).replacen(&print, &new_anchor.1, 1)
    });
    assert_eq!(omens::plan::trust::dropped(&host.settings), [], "nothing ends at the old root any more");
    host.daemons[0].be(crate::services::Manner::Refuses);
    let refused = host.renew();
    assert_eq!((refused.exit, refused.certificates[0].outcome), (1, Outcome::Failed), "{refused:#?}");
    host.events.take();
    host.heal();
    assert_eq!(outcomes(&host.renew()), [Outcome::Settled, Outcome::NotDue]);
    assert_eq!(host.events.take(), ["ask 0", "look web"]);
    assert_eq!(roots(&host, "bundle.pem"), [new, bundle[2].clone()]);
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue]);
    host.power_cut();
    host.restore();
    host.heal();
    for daemon in &host.daemons {
        daemon.read(None).expect("files");
    }
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue], "a boot is no change");
    host.check("the end");
}

#[test]
fn a_root_that_something_still_ends_at_is_not_dropped() {
    let _turn = time_of_day::take();
    let mut host = host();
    let print = crate::pki::sha256(&host.authority.root);
    let (file, new_print) = host.another_authority();
    host.configure(|text| {
        let anchor = text.lines().find(|line| line.starts_with("anchor = ")).expect("a line").to_owned();
        text.replace(&anchor, &format!("anchor = \"{}\"", file.display())).replace(&print, &new_print)
    });
    let dropped = omens::plan::trust::dropped(&host.settings);
    assert_eq!(
        dropped.iter().map(|one| (one.name.as_str(), one.root.as_str())).collect::<Vec<_>>(),
        [("web", print.as_str()), ("api", print.as_str())]
    );
    // A run does what the settings say: it asks for certificates of the root that is pinned.
    assert_eq!(outcomes(&host.renew()), [Outcome::Renewed, Outcome::Renewed]);
    assert_eq!(omens::plan::trust::dropped(&host.settings), []);
}

#[test]
fn the_intermediates_of_what_is_damaged_are_trusted_as_before() {
    let _turn = time_of_day::take();
    let host = host();
    let all: Vec<_> = host.settings.certificates.iter().collect();
    let bundle = || {
        let found = inventory::take(&host.settings, &all, Depth::Whole).expect("the trees");
        (found.certificates.iter().all(|one| one.tree.is_ok()), found.trust.file(Part::Bundle).map(str::to_owned))
    };
    let before = bundle();
    assert_eq!(pem_blocks(before.1.as_deref().unwrap_or_default()).len(), 2, "the root and the intermediate");
    for name in ["web", "api"] {
        std::fs::remove_file(host.path("state/certs").join(name).join("live/cert.pem")).expect("a certificate");
    }
    assert_eq!(bundle(), before);
}

#[test]
fn what_is_half_made_for_all_is_put_right_where_nothing_is_due() {
    type Change = fn(&Host);
    let rows: [(&str, Change); 4] = [
        ("a file is another one", |host| std::fs::write(host.path("run/trust/anchors.pem"), "").expect("a file")),
        ("a file is gone", |host| std::fs::remove_file(host.path("run/trust/bundle.pem")).expect("a file")),
        ("half of a file", |host| std::fs::write(host.path("run/trust/.bundle.pem.0123456789abcdef"), "").expect("a file")),
        ("a note of a run that died", |host| {
            std::fs::write(host.path("run").join(omens::model::layout::WORKING), "{}").expect("a file");
        }),
    ];
    let below = |host: &Host, dir: &str| {
        let read = std::fs::read_dir(host.path(dir)).expect("a directory").flatten();
        let mut all: Vec<_> = read.map(|entry| (entry.file_name(), std::fs::read(entry.path()).ok())).collect();
        all.sort();
        all
    };
    for (what, change) in rows {
        let _turn = time_of_day::take();
        let host = host();
        let before = (below(&host, "run"), below(&host, "run/trust"));
        change(&host);
        assert_ne!((below(&host, "run"), below(&host, "run/trust")), before, "{what}");
        assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue], "{what}");
        assert_eq!((below(&host, "run"), below(&host, "run/trust")), before, "{what}");
    }
}
