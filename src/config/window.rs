//! `window` and `timezone` of a certificate. Zones are the host's own: its local time, or one by its name in the time zone database.

use std::path::Path;

use jiff::tz::TimeZone;

use super::shape::{Shape, Wrong, list, parsed, placed, quoted};
use crate::io::read;
use crate::model::window::{Weekly, Windows};

/// The host's local time (localtime(5)); absent: UTC.
const LOCAL: &str = "/etc/localtime";
/// The time zone database (tzfile(5)).
const ZONES: &str = "/usr/share/zoneinfo";
/// The largest file of one zone.
const LARGEST: u64 = 64 * 1024;

/// When a certificate may be renewed; `Some(None)`: always.
pub(super) fn windows(shape: &Shape<'_>) -> Option<Option<Windows>> {
    let weekly = shape.optional("window", placed(list(parsed(weekly))));
    let zone = shape.optional("timezone", placed(parsed(zone)));
    match (weekly?, zone?) {
        (None, None) => Some(None),
        (None, Some((place, _))) => {
            shape.errors().at(
                place,
                Wrong::value("\"timezone\" says nothing without \"window\"")
                    .suggest("add window = [\"Mon..Fri 02:00-05:00\"], or leave it out"),
            );
            None
        }
        (Some((place, weekly)), _) if weekly.is_empty() => {
            shape
                .errors()
                .at(place, Wrong::value("expected a window, found an empty list").suggest("leave \"window\" out to renew at any time"));
            None
        }
        (Some((_, weekly)), Some((_, zone))) => Some(Some(Windows { weekly, zone })),
        (Some((place, weekly)), None) => match local() {
            Ok(zone) => Some(Some(Windows { weekly, zone })),
            Err(why) => {
                shape
                    .errors()
                    .at(place, Wrong::value(format!("the local time of this host is not known: {why}")).suggest("add timezone = \"UTC\""));
                None
            }
        },
    }
}

fn weekly(text: &str) -> Result<Weekly, Wrong> {
    Weekly::parse(text).map_err(|why| Wrong::value(why).suggest("write it like \"Mon..Fri 02:00-05:00\" or \"Sat 00:00-24:00\""))
}

fn zone(name: &str) -> Result<TimeZone, Wrong> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c));
    let wrong = |why: String| Wrong::value(why).suggest("write \"UTC\", or a name as `timedatectl list-timezones` has it");
    if !name.split('/').all(plain) {
        return Err(wrong(format!("expected the name of a time zone, found {}", quoted(name))));
    }
    let path = Path::new(ZONES).join(name);
    let bytes = read::file(&path, LARGEST).map_err(|why| wrong(format!("there is no time zone {}: {why}", quoted(name))))?;
    TimeZone::tzif(name, &bytes).map_err(|why| wrong(format!("{} is no time zone: {why}", path.display())))
}

fn local() -> Result<TimeZone, String> {
    match read::file(Path::new(LOCAL), LARGEST) {
        Ok(bytes) => TimeZone::tzif("local", &bytes).map_err(|why| format!("{LOCAL}: {why}")),
        Err(why) if why.is_not_found() => Ok(TimeZone::UTC),
        Err(why) => Err(why.to_string()),
    }
}
