//! Who is in a campaign already, and what is done with a row about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RejectCode;
use crate::id::ClientId;
use crate::phone::PhoneNumber;

/// What makes a row the duplicate of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// The number: one client for each.
    #[default]
    Phone,
    /// The number with the name: several people of one household may share a number.
    PhoneAndName,
}

impl Dedupe {
    /// Reads the word that JSON uses.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "phone" => Some(Self::Phone),
            "phone_and_name" => Some(Self::PhoneAndName),
            _ => None,
        }
    }
}

/// What is done with a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// The client stays as it is.
    #[default]
    Skip,
    /// The client becomes what the row says; see [`Client::follow`](crate::client::Client::follow).
    Update,
}

impl OnDuplicate {
    /// Reads the word that JSON uses.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "skip" => Some(Self::Skip),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}

/// How an import treats rows about people who are in the campaign already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DuplicatePolicy {
    /// What makes a row a duplicate.
    pub dedupe: Dedupe,
    /// What is done with it.
    pub on_duplicate: OnDuplicate,
    /// Whether the external ids are only taken for such because of their column's name. What is
    /// called `Reference` may well repeat: then it is no reason to leave somebody out, and who
    /// repeats it comes in without an external id.
    pub guessed_external_ids: bool,
}

/// A client as far as duplicates go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub client: ClientId,
    /// The line it came in on.
    pub line: u64,
    /// Its number.
    pub phone: PhoneNumber,
    /// What the person is called.
    pub name: String,
    /// The uploader's own id.
    pub external_id: Option<String>,
}

/// What a row is to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A new client.
    New {
        /// Whether somebody else has its external id, so that it comes in without.
        without_external_id: bool,
    },
    /// Left out: the client of this line is in.
    Duplicate {
        /// That line.
        of_line: u64,
    },
    /// This client becomes what the row says.
    Update {
        /// The client.
        client: ClientId,
        /// Whether somebody else has the row's external id, so that the client keeps its own.
        without_external_id: bool,
    },
    /// Refused.
    Refused(RejectCode),
}

/// The clients of one campaign that rows may repeat, the oldest first: those that a store has, and
/// those that came in since.
#[derive(Debug, Clone, Default)]
pub struct Roll {
    clients: BTreeMap<ClientId, Known>,
    by_number: BTreeMap<PhoneNumber, Vec<ClientId>>,
    by_external_id: BTreeMap<String, ClientId>,
}

impl Roll {
    /// Adds a client, or what it is called now.
    pub fn put(&mut self, known: Known) {
        if let Some(old) = self.clients.get(&known.client)
            && let Some(external_id) = &old.external_id
        {
            self.by_external_id.remove(external_id);
        }
        let of_number = self.by_number.entry(known.phone).or_default();
        if !of_number.contains(&known.client) {
            of_number.push(known.client);
        }
        if let Some(external_id) = &known.external_id {
            self.by_external_id.entry(external_id.clone()).or_insert(known.client);
        }
        self.clients.insert(known.client, known);
    }

    /// Whether a client is on it.
    #[must_use]
    pub fn has(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client)
    }

    /// Makes a client what a row says that repeats it; what the row leaves empty stays.
    pub fn follow(&mut self, row: Known) {
        let Some(old) = self.clients.get(&row.client) else { return };
        self.put(Known {
            name: if row.name.is_empty() { old.name.clone() } else { row.name },
            external_id: row.external_id.or_else(|| old.external_id.clone()),
            ..row
        });
    }

    /// What a row is to the campaign.
    ///
    /// An external id says more than a number, and a number with the name more than the number
    /// alone. An update never changes a number: calls to it may be on their way.
    #[must_use]
    pub fn judge(
        &self,
        policy: DuplicatePolicy,
        phone: PhoneNumber,
        name: &str,
        external_id: Option<&str>,
    ) -> Verdict {
        let update = policy.on_duplicate == OnDuplicate::Update;
        let owner = external_id.and_then(|id| self.by_external_id.get(id));
        let owner = owner.and_then(|id| self.clients.get(id));
        let (same, other) = match owner {
            Some(owner) if owner.phone == phone => (Some(owner), false),
            Some(owner) if !policy.guessed_external_ids => {
                return if update {
                    Verdict::Refused(RejectCode::ExternalIdTaken)
                } else {
                    Verdict::Duplicate { of_line: owner.line }
                };
            }
            owner => (None, owner.is_some()),
        };
        match same.or_else(|| self.of_number(policy.dedupe, phone, name)) {
            None => Verdict::New { without_external_id: other },
            Some(known) if update => {
                Verdict::Update { client: known.client, without_external_id: other }
            }
            Some(known) => Verdict::Duplicate { of_line: known.line },
        }
    }

    fn of_number(&self, dedupe: Dedupe, phone: PhoneNumber, name: &str) -> Option<&Known> {
        let of_number = self.by_number.get(&phone)?;
        let mut known = of_number.iter().filter_map(|id| self.clients.get(id));
        let first = known.clone().next();
        let name = name_key(name);
        let named = known.find(|known| name_key(&known.name) == name);
        match dedupe {
            Dedupe::Phone => named.or(first),
            Dedupe::PhoneAndName => named,
        }
    }
}

/// A name as duplicates are compared: its words, whatever their case.
fn name_key(name: &str) -> String {
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::time::SeededEntropy;

    const ONE: u64 = 12_125_550_100;

    fn roll(clients: &[(u64, &str, Option<&str>)]) -> (Roll, Vec<ClientId>) {
        let entropy = SeededEntropy::new(1);
        let (mut roll, mut ids) = (Roll::default(), Vec::new());
        for (line, (digits, name, external_id)) in (2..).zip(clients) {
            let client = ClientId::new(DateTime::UNIX_EPOCH, &entropy);
            roll.put(Known {
                client,
                line,
                phone: PhoneNumber::from_digits(*digits).unwrap(),
                name: (*name).to_owned(),
                external_id: external_id.map(str::to_owned),
            });
            ids.push(client);
        }
        (roll, ids)
    }

    fn judge(roll: &Roll, policy: DuplicatePolicy, row: (u64, &str, Option<&str>)) -> Verdict {
        roll.judge(policy, PhoneNumber::from_digits(row.0).unwrap(), row.1, row.2)
    }

    const NEW: Verdict = Verdict::New { without_external_id: false };

    fn update() -> DuplicatePolicy {
        DuplicatePolicy { on_duplicate: OnDuplicate::Update, ..DuplicatePolicy::default() }
    }

    #[test]
    fn a_number_is_one_client_unless_names_tell_two_apart() {
        let (roll, _) = roll(&[(ONE, "Ada Byron", None), (ONE, "Ann Byron", None)]);
        let by_name =
            DuplicatePolicy { dedupe: Dedupe::PhoneAndName, ..DuplicatePolicy::default() };
        let row = (ONE, "Bob", None);
        assert_eq!(
            judge(&roll, DuplicatePolicy::default(), row),
            Verdict::Duplicate { of_line: 2 }
        );
        assert_eq!(judge(&roll, by_name, row), NEW);
        let spelled = (ONE, " ann  BYRON", None);
        assert_eq!(judge(&roll, by_name, spelled), Verdict::Duplicate { of_line: 3 });
        assert_eq!(judge(&roll, by_name, (ONE + 1, "Ada Byron", None)), NEW);
    }

    #[test]
    fn an_update_is_of_the_one_with_the_external_id_then_of_the_name_then_of_the_oldest() {
        let (roll, ids) = roll(&[
            (ONE, "Ada", Some("A")),
            (ONE, "Ann", None),
            (ONE, "Bob", Some("B")),
            (ONE + 1, "Cy", Some("C")),
        ]);
        let of = |row| judge(&roll, update(), row);
        let client =
            |index: usize| Verdict::Update { client: ids[index], without_external_id: false };
        assert_eq!(of((ONE, "Ann", Some("B"))), client(2));
        assert_eq!(of((ONE, "Ann", Some("D"))), client(1));
        assert_eq!(of((ONE, "Zoe", None)), client(0));
        let taken = Verdict::Refused(RejectCode::ExternalIdTaken);
        assert_eq!(of((ONE, "Ann", Some("C"))), taken, "an update gives nobody another number");
        assert_eq!(
            judge(&roll, DuplicatePolicy::default(), (ONE + 5, "New", Some("C"))),
            Verdict::Duplicate { of_line: 5 }
        );
    }

    #[test]
    fn what_only_looks_like_an_external_id_keeps_nobody_out() {
        let (roll, ids) = roll(&[(ONE, "Ada", Some("A")), (ONE + 1, "Bob", None)]);
        let guessed = DuplicatePolicy { guessed_external_ids: true, ..update() };
        assert_eq!(
            judge(&roll, guessed, (ONE + 2, "Cy", Some("A"))),
            Verdict::New { without_external_id: true }
        );
        assert_eq!(
            judge(&roll, guessed, (ONE + 1, "Bob", Some("A"))),
            Verdict::Update { client: ids[1], without_external_id: true }
        );
    }

    #[test]
    fn a_client_that_changed_its_external_id_frees_the_old_one() {
        let (mut roll, ids) = roll(&[(ONE, "Ada", Some("A"))]);
        let mut ada = roll.clients[&ids[0]].clone();
        ada.external_id = Some("B".to_owned());
        roll.put(ada);
        assert_eq!(judge(&roll, update(), (ONE + 1, "Bob", Some("A"))), NEW);
        assert_eq!(roll.by_number[&PhoneNumber::from_digits(ONE).unwrap()].len(), 1);
    }
}
