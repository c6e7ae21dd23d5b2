//! When a certificate that was replaced is revoked, and what is done about one that the CA has revoked.

use omens::model::entry::Outcome;
use omens::model::reason::ReasonCode;
use omens::model::report::Report;
use omens::steps::flow::ending::Ending;

use crate::authority::Answers;
use crate::host::{Cert, Host};
use crate::services::Manner;
use crate::time_of_day;

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const API: Cert = Cert { name: "api", daemons: &[1] };
const DAY: i64 = 86_400;

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.certificates.iter().map(|certificate| certificate.outcome).collect()
}

fn revoked(host: &Host) -> Vec<String> {
    host.authority.revoked.lock().unwrap().clone()
}

/// A host whose replaced certificates are to be revoked, committed and served.
fn host(certs: &[Cert]) -> Host {
    let mut host = Host::new(certs);
    host.configure(|text| text.replace("role = \"web\"\n", "role = \"web\"\nrevoke_replaced = true\n"));
    let first = host.renew();
    assert_eq!(first.exit, 0, "{first:#?}");
    assert_eq!(host.events.take().iter().filter(|event| *event == "revoke").count(), 0, "nothing was replaced yet");
    host
}

#[test]
fn what_was_replaced_is_revoked_once_the_new_one_is_proven_and_never_before() {
    let _turn = time_of_day::take();
    let host = host(&[WEB]);
    let first = host.renew().certificates[0].serial.clone().unwrap();
    time_of_day::advance(DAY * 7 / 10);
    host.daemons[0].be(Manner::KeepsWhatItHas);
    assert_eq!(outcomes(&host.renew()), [Outcome::RolledBack]);
    assert_eq!(revoked(&host), Vec::<String>::new(), "the one that serves again");
    host.heal();
    host.events.take();
    assert_eq!(outcomes(&host.renew()), [Outcome::Settled]);
    assert_eq!(host.events.take(), ["ask 0", "look web", "revoke"]);
    assert_eq!(revoked(&host), [first]);
    assert_eq!((outcomes(&host.renew()), host.events.take()), (vec![Outcome::NotDue], vec![]));
    // Nobody goes back to it.
    let back = host.rollback("web");
    assert_eq!((outcomes(&back), back.certificates[0].error.as_ref().unwrap().code.as_str()), (vec![Outcome::Refused], "revoked"));
    // A CA that refuses costs nothing but a warning.
    time_of_day::advance(DAY * 7 / 10);
    host.authority.answer(Answers::RefusesToRevoke);
    let report = host.renew();
    assert_eq!((report.exit, outcomes(&report)), (0, vec![Outcome::Renewed]));
    assert_eq!(report.certificates[0].warnings.iter().map(|warning| warning.code.as_str()).collect::<Vec<_>>(), ["not-revoked"]);
    // It is owed until it is done, by the next run that has something to ask.
    let third = report.certificates[0].serial.clone().unwrap();
    let second = report.certificates[0].warnings[0].text.split(',').next().unwrap().to_owned();
    host.authority.answer(Answers::Signs);
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue]);
    assert!(!revoked(&host).contains(&second));
    time_of_day::advance(DAY * 2 / 10);
    let last = host.renew_with(true, Ending::default());
    assert_eq!((last.exit, outcomes(&last), last.certificates[0].warnings.len()), (0, vec![Outcome::Renewed], 0), "{last:#?}");
    let done = revoked(&host);
    assert!(done.contains(&second) && done.contains(&third), "{done:?} has neither {second} nor {third}");
    host.check("the end");
}

#[test]
fn what_the_ca_has_revoked_is_due_once_a_run_saw_it() {
    let _turn = time_of_day::take();
    let mut host = host(&[WEB, API]);
    let report = host.renew();
    assert_eq!(outcomes(&report), [Outcome::NotDue, Outcome::NotDue]);
    let serial = report.certificates[1].serial.clone().unwrap();
    host.authority.revoked.lock().unwrap().push(serial.clone());
    assert_eq!(
        (outcomes(&host.renew()), host.events.take()),
        (vec![Outcome::NotDue, Outcome::NotDue], vec![]),
        "nobody is asked for it alone"
    );
    // The authority is asked for another certificate anyway.
    host.configure(|text| {
        text.replacen("common_name = \"web.example.net\"\n", "common_name = \"web.example.net\"\ndns = [\"www.example.net\"]\n", 1)
    });
    assert_eq!(outcomes(&host.renew()), [Outcome::Renewed, Outcome::NotDue]);
    assert!(host.events.take().contains(&"ask whether it is revoked".to_owned()));
    let second = host.renew();
    assert_eq!(outcomes(&second), [Outcome::NotDue, Outcome::Renewed]);
    assert_eq!(second.certificates[1].reasons[0].code, ReasonCode::Revoked, "{second:#?}");
    assert_eq!(outcomes(&host.renew()), [Outcome::NotDue, Outcome::NotDue]);
    host.check("the end");
}
