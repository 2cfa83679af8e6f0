//! Which clocks a phone number may live by.
//!
//! A number names the area where it was given out, not where its owner is: ported and moved
//! mobiles make every answer a guess. So the answer is a list of candidates, to be joined the
//! careful way: a call is allowed when it is allowed in every one of them. A client's own zone,
//! where the list has one, is better than any guess.
//!
//! The table is libphonenumber's (Apache-2.0, see `zones/table.txt`), mended by
//! `scripts/zone-table.py`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::client::{ClientZone, ZoneSource};
use crate::phone::PhoneNumber;
use crate::time::Zone;

/// The zones a number may be in, with how well that is known. Lists are never empty and are
/// sorted by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// The zones of the area that the number was given out for.
    Known(&'static [Zone]),
    /// The number names a country but no place in it, as mobiles do in most countries: all the
    /// zones of that country.
    CountryWide(&'static [Zone]),
    /// The number has no place: toll-free, satellite, an area code too new for the table.
    Unknown,
}

impl Candidates {
    /// The zones, whatever their provenance; empty for [`Candidates::Unknown`].
    #[must_use]
    pub const fn zones(self) -> &'static [Zone] {
        match self {
            Self::Known(zones) | Self::CountryWide(zones) => zones,
            Self::Unknown => &[],
        }
    }
}

/// The zones that a number may be in, as a client's are kept.
#[must_use]
pub fn number_zones(number: PhoneNumber) -> Vec<ClientZone> {
    let (zones, source) = match candidate_zones(number) {
        Candidates::Known(zones) => (zones, ZoneSource::Number),
        Candidates::CountryWide(zones) => (zones, ZoneSource::Country),
        Candidates::Unknown => (&[][..], ZoneSource::Number),
    };
    zones.iter().map(|zone| ClientZone { zone: zone.clone(), source }).collect()
}

/// The zones that a number may be in.
///
/// ```
/// use callcore::zones::{Candidates, candidate_zones};
/// let pensacola = candidate_zones("+18505550123".parse()?);
/// let Candidates::Known(zones) = pensacola else { panic!() };
/// let names: Vec<_> = zones.iter().map(|zone| zone.name()).collect();
/// assert_eq!(names, ["America/Chicago", "America/New_York"]);
/// assert_eq!(candidate_zones("+18002345678".parse()?), Candidates::Unknown);
/// # Ok::<(), callcore::phone::PhoneNumberError>(())
/// ```
#[must_use]
pub fn candidate_zones(number: PhoneNumber) -> Candidates {
    let table = Table::shared();
    let text = number.to_string();
    if text.starts_with("+1") {
        // One numbering plan for two dozen countries: below the area code there is nothing.
        let area = text.get(1..5).and_then(|area| area.parse().ok());
        return area
            .and_then(|area| table.get(area))
            .map_or(Candidates::Unknown, Candidates::Known);
    }
    let Ok(parsed) = rlibphonenumber::PhoneNumber::parse(&text, None) else {
        return Candidates::Unknown;
    };
    let Some(country) = u64::try_from(parsed.country_code).ok() else {
        return Candidates::Unknown;
    };
    // The one code that two countries with zones far apart share: +7 7 is Kazakhstan.
    let country = if text.starts_with("+77") { 77 } else { country };
    let Some(country_zones) = table.get(country) else { return Candidates::Unknown };
    if country_zones.len() > 1 {
        let has_place = parsed.is_geographical();
        return match table.longest(number.digits()) {
            Some((prefix, zones)) if has_place && prefix != country => Candidates::Known(zones),
            _ => Candidates::CountryWide(country_zones),
        };
    }
    Candidates::Known(country_zones)
}

/// Zones by prefix. A prefix is kept as a number: no country code begins with 0.
struct Table {
    sets: Vec<Vec<Zone>>,
    by_prefix: BTreeMap<u64, usize>,
    longest: u64,
}

impl Table {
    fn shared() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(include_str!("zones/table.txt")))
    }

    fn read(text: &str) -> Self {
        let mut table = Self { sets: Vec::new(), by_prefix: BTreeMap::new(), longest: 0 };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let names = words.next().unwrap_or_default();
            // A name too new for the bundled rules would be left out; a test shows there is none.
            table.sets.push(names.split(',').filter_map(|name| name.parse().ok()).collect());
            for prefix in words.filter_map(|word| word.parse().ok()) {
                table.by_prefix.insert(prefix, table.sets.len() - 1);
                table.longest = table.longest.max(prefix);
            }
        }
        table
    }

    fn get(&self, prefix: u64) -> Option<&[Zone]> {
        let set = *self.by_prefix.get(&prefix)?;
        self.sets.get(set).map(Vec::as_slice).filter(|zones| !zones.is_empty())
    }

    fn longest(&self, digits: u64) -> Option<(u64, &[Zone])> {
        std::iter::successors(Some(digits), |prefix| Some(prefix / 10).filter(|rest| *rest > 0))
            .skip_while(|prefix| *prefix > self.longest)
            .find_map(|prefix| Some((prefix, self.get(prefix)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: &str) -> (&'static str, Vec<&'static str>) {
        let candidates = candidate_zones(number.parse().unwrap());
        let provenance = match candidates {
            Candidates::Known(_) => "known",
            Candidates::CountryWide(_) => "country",
            Candidates::Unknown => "unknown",
        };
        (provenance, candidates.zones().iter().map(Zone::name).collect())
    }

    #[test]
    fn every_name_in_the_table_is_a_zone() {
        let text = include_str!("zones/table.txt");
        let mut lines = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            lines += 1;
            for name in line.split(' ').next().unwrap().split(',') {
                assert_eq!(name.parse::<Zone>().unwrap().name(), name);
            }
        }
        assert!(lines > 200, "{lines}");
    }

    #[test]
    fn an_area_code_has_the_zones_of_all_its_exchanges() {
        for (number, zones) in [
            ("+12122345678", vec!["America/New_York"]),
            ("+13052345678", vec!["America/New_York"]),
            ("+18502345678", vec!["America/Chicago", "America/New_York"]),
            ("+12083345678", vec!["America/Boise", "America/Denver", "America/Los_Angeles"]),
            (
                "+16052345678",
                vec!["America/Chicago", "America/Denver", "America/North_Dakota/Center"],
            ),
            ("+14232345678", vec!["America/Chicago", "America/New_York"]),
            ("+17092345678", vec!["America/Halifax", "America/St_Johns"]),
        ] {
            assert_eq!(names(number), ("known", zones), "{number}");
        }
        for (number, zone) in [
            ("+19282834567", "America/Phoenix"),
            ("+19282834567", "America/Denver"),
            ("+17012345678", "America/Chicago"),
            ("+19072345678", "America/Adak"),
            ("+18672345678", "America/Edmonton"),
            ("+18672345678", "America/Iqaluit"),
        ] {
            assert!(names(number).1.contains(&zone), "{number} {zone}");
        }
    }

    #[test]
    fn an_overlay_has_at_least_its_parents_zones() {
        let table = Table::shared();
        for (overlay, parent) in [
            (1448, 1850),
            (1364, 1270),
            (1930, 1812),
            (1458, 1541),
            (1986, 1208),
            (1236, 1250),
            (1672, 1250),
            (1778, 1250),
            (1474, 1306),
        ] {
            let zones = table.get(overlay).unwrap();
            assert!(
                table.get(parent).unwrap().iter().all(|zone| zones.contains(zone)),
                "{overlay}"
            );
        }
    }

    #[test]
    fn saskatchewan_keeps_its_own_time() {
        let table = Table::shared();
        let regina: Vec<Zone> = vec!["America/Regina".parse().unwrap()];
        assert_eq!(table.get(1474), Some(regina.as_slice()));
    }

    #[test]
    fn a_number_without_a_place_has_no_known_zone() {
        for number in ["+18002345678", "+18885550123", "+19002345678", "+80012345678"] {
            assert_eq!(names(number), ("unknown", vec![]), "{number}");
        }
    }

    #[test]
    fn a_mobile_may_be_anywhere_in_its_country() {
        assert_eq!(names("+447911123456").0, "country");
        assert_eq!(names("+447911123456").1.len(), 4);
        assert_eq!(names("+61412345678").0, "country");
        assert_eq!(names("+61412345678").1.len(), 8);
        assert_eq!(names("+34612345678"), ("country", vec!["Atlantic/Canary", "Europe/Madrid"]));
        assert_eq!(names("+34912345678"), ("known", vec!["Europe/Madrid"]));
        assert_eq!(names("+77011234567"), ("country", vec!["Asia/Almaty", "Asia/Aqtobe"]));
        assert_eq!(names("+4915112345678"), ("known", vec!["Europe/Berlin"]));
    }

    #[test]
    fn what_the_source_has_wrong_is_mended() {
        assert_eq!(names("+919812345678"), ("known", vec!["Asia/Kolkata"]));
        assert_eq!(names("+212522123456"), ("known", vec!["Africa/Casablanca"]));
        assert_eq!(names("+6433031234").1, ["Pacific/Auckland", "Pacific/Chatham"]);
        assert!(names("+74012345678").1.contains(&"Europe/Kaliningrad"));
        assert!(!names("+74012345678").1.contains(&"Europe/Bucharest"));
    }

    #[test]
    fn every_number_of_a_real_list_has_candidates() {
        let file = include_str!("../tests/data/clients.csv");
        let mut reader = csv::Reader::from_reader(file.as_bytes());
        let column = reader.headers().unwrap().iter().position(|h| h == "Phone").unwrap();
        for row in reader.records() {
            let number =
                PhoneNumber::parse(&row.unwrap()[column], &crate::phone::Region::US).unwrap();
            assert_ne!(candidate_zones(number), Candidates::Unknown, "{number}");
        }
    }
}
