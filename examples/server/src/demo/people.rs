//! The demo's list of clients, as somebody would upload it.

use callcore::phone::{PhoneNumber, Region};

/// How many people are on the list.
const PEOPLE: usize = 480;

/// Given and family names that go together.
struct Names {
    given: [&'static str; 6],
    family: [&'static str; 6],
    /// What stands between, and which of the two comes first.
    order: Order,
}

#[derive(Clone, Copy)]
enum Order {
    GivenFirst,
    FamilyFirst,
    /// Family name first and no space between, as in Chinese.
    Joined,
}

const NAMES: [Names; 14] = [
    Names {
        given: ["Alice", "Daniel", "Grace", "Marcus", "Olivia", "Samuel"],
        family: ["Baker", "Freeman", "Hughes", "Morgan", "Reed", "Whitaker"],
        order: Order::GivenFirst,
    },
    Names {
        given: [
            "María de los Ángeles",
            "José Luis",
            "Ximena",
            "Íñigo",
            "Guadalupe",
            "Juan Sebastián Alejandro",
        ],
        family: [
            "Fernández de la Vega y Villanueva del Campo",
            "García",
            "Ibáñez Núñez",
            "Peña",
            "Ríos",
            "Zúñiga",
        ],
        order: Order::GivenFirst,
    },
    Names {
        given: ["فاطمة الزهراء", "محمد", "ليلى", "عبد الرحمن", "نور", "يوسف"],
        family: ["الحسيني", "بن سعيد", "حدّاد", "خوري", "المنصوري", "شريف"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["נועה", "אברהם", "יעל", "דוד", "תמר", "איתן"],
        family: ["כהן", "לוי", "בן־דוד", "פרידמן", "מזרחי", "שפירא"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["美咲", "健太", "さくら", "翔", "陽子", "大輔"],
        family: ["佐藤", "高橋", "渡辺", "小林", "山田", "中村"],
        order: Order::FamilyFirst,
    },
    Names {
        given: ["伟", "秀英", "晓明", "丽华", "志强", "雨桐"],
        family: ["王", "李", "欧阳", "陈", "赵", "周"],
        order: Order::Joined,
    },
    Names {
        given: ["Анастасия", "Дмитрий", "Екатерина", "Алексей", "Людмила", "Сергей"],
        family: ["Соколова", "Шевченко", "Орлова", "Щербак", "Бондаренко", "Мельник"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["Παρασκευή", "Γιώργος", "Ελένη", "Κωνσταντίνος", "Σοφία", "Νίκος"],
        family: ["Παπαδοπούλου", "Οικονόμου", "Βασιλειάδη", "Χατζηκωνσταντίνου", "Μάκρη", "Παππά"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["प्रिया", "अर्जुन", "सुनीता", "विक्रम", "अंजलि", "राहुल"],
        family: ["शर्मा", "पटेल", "चटर्जी", "मेहता", "श्रीवास्तव", "नायर"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["Nguyệt", "Đức Anh", "Thị Hồng Hạnh", "Quang Minh", "Tuyết", "Văn Dũng"],
        family: ["Nguyễn", "Trần", "Phạm", "Huỳnh", "Đặng", "Võ"],
        order: Order::FamilyFirst,
    },
    Names {
        given: ["Chukwuemeka", "Adaeze", "Oluwaseun", "Temitope", "Ngozi", "Babatunde"],
        family: ["Adéyẹmí", "Okonkwo", "Ọláyínká", "Eze", "Balogun", "Nwachukwu"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["Þórdís", "Łukasz", "Žofie", "Åsa", "İpek", "Ştefan"],
        family: ["Brzęczyszczewska", "Ólafsdóttir", "Nyström", "Yıldız", "Dvořák", "Țepeș"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["Leilani", "Kealohilani", "Keoni", "Malia", "Nalani", "Kai"],
        family: ["Kahanamoku-Kealiʻiwahamana", "Kamaka", "Kalani", "Mahoe", "ʻŌpūnui", "Akana"],
        order: Order::GivenFirst,
    },
    Names {
        given: ["서연", "민준", "지우", "하은", "도윤", "수빈"],
        family: ["김", "이", "박", "최", "남궁", "황보"],
        order: Order::Joined,
    },
];

/// Area codes from the Atlantic to the Pacific, so that the day opens for one after the other.
const AREAS: [&str; 24] = [
    "212", "617", "305", "404", "215", "716", "202", "313", "312", "512", "615", "612", "504",
    "314", "816", "303", "505", "801", "602", "415", "206", "503", "619", "808",
];

const TAGS: [&str; 6] = ["renewal", "renewal;vip", "new", "", "renewal;callback", "new;referral"];
const SLOTS: [&str; 5] = ["09:30", "11:00", "13:15", "14:45", "16:00"];

/// The file: real lists repeat a few people and have a cell or two that is no number.
pub(super) fn csv() -> String {
    let mut file = "Name,Phone,Appointment,Tags,Notes\n".to_owned();
    for index in 0..PEOPLE {
        let note = if index % 29 == 4 { "asked for a call in the morning" } else { "" };
        row(&mut file, index, &phone(index), note);
        if index % 150 == 90 {
            row(&mut file, index, &phone(index), "came in twice");
        }
    }
    row(&mut file, PEOPLE, "", "number to follow");
    row(&mut file, PEOPLE + 1, "2.125550E+09", "");
    file
}

/// Some of the list's numbers, which the demo puts on the Do-Not-Call list.
pub(super) fn do_not_call() -> Vec<PhoneNumber> {
    let numbers = (0..PEOPLE).skip(17).step_by(61).map(phone);
    numbers.filter_map(|phone| PhoneNumber::parse(&phone, &Region::US).ok()).collect()
}

fn row(file: &mut String, index: usize, phone: &str, note: &str) {
    let (tags, slot) = (TAGS[index % TAGS.len()], SLOTS[index % SLOTS.len()]);
    file.push_str(&format!("{},{phone},{slot},{tags},{note}\n", name(index)));
}

fn name(index: usize) -> String {
    let names = &NAMES[index % NAMES.len()];
    let turn = index / NAMES.len();
    let (given, family) = (names.given[turn % 6], names.family[(turn / 6 + turn) % 6]);
    match names.order {
        Order::GivenFirst => format!("{given} {family}"),
        Order::FamilyFirst => format!("{family} {given}"),
        Order::Joined => format!("{family}{given}"),
    }
}

/// A fictional number (555-0100 to 555-0199), written as people write them.
fn phone(index: usize) -> String {
    let area = AREAS[index % AREAS.len()];
    let line = 100 + (index / AREAS.len()) * 5 + index % 5;
    match index % 4 {
        0 => format!("({area}) 555-0{line}"),
        1 => format!("+1{area}5550{line}"),
        2 => format!("{area}.555.0{line}"),
        _ => format!("1-{area}-555-0{line}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use callcore::import::{Importer, Mapping, Parsed};

    use super::*;

    #[test]
    fn the_list_has_480_people_three_repeats_and_two_cells_that_are_no_number() {
        let file = csv();
        let importer = Importer::new(file.as_bytes(), Region::US, &Mapping::default()).unwrap();
        let (mut people, mut repeats, mut refused) = (Vec::new(), 0, 0);
        for parsed in importer {
            match parsed.unwrap() {
                Parsed::Accepted(row) => people.push(row),
                Parsed::Duplicate(..) => repeats += 1,
                Parsed::Rejected(..) => refused += 1,
            }
        }
        assert_eq!((people.len(), repeats, refused), (PEOPLE, 3, 2));
        let names: BTreeSet<&str> = people.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), PEOPLE);
        assert!(people.iter().all(|row| row.phone.to_string()[5..].starts_with("55501")));
        assert_eq!(do_not_call().len(), 8);
    }
}
