//! Which of our numbers a person sees.

use callcore::engine::Ticket;
use callcore::phone::PhoneNumber;
use sha2::{Digest, Sha256};

/// The number to call from: one in the area code of the number dialled where there is one, else
/// any; of several always the same for one client, so that the person sees one number and finds it
/// when they call back. Numbers that come or go move only the clients they have to.
pub(crate) fn choose(pool: &[PhoneNumber], ticket: &Ticket) -> Option<PhoneNumber> {
    let to = ticket.to();
    let who = match ticket.client() {
        Some(client) => client.to_string(),
        None => to.to_string(),
    };
    pick(pool, to, &who)
}

fn pick(pool: &[PhoneNumber], to: PhoneNumber, who: &str) -> Option<PhoneNumber> {
    let area = area(to);
    let near = |from: &PhoneNumber| area.is_some() && self::area(*from) == area;
    // Rendezvous hashing: each number has its own weight for each client.
    pool.iter().copied().max_by_key(|from| (near(from), weight(who, *from), *from))
}

/// The area code, where numbers have one that says where a person lives: +1 and three digits.
fn area(number: PhoneNumber) -> Option<String> {
    let text = number.to_string();
    text.strip_prefix("+1").filter(|rest| rest.len() == 10).map(|rest| rest[..3].to_owned())
}

fn weight(who: &str, from: PhoneNumber) -> [u8; 32] {
    Sha256::digest(format!("{who} {from}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Vec<PhoneNumber> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_clients_area_code_is_preferred() {
        let pool = numbers(&["+12125550100", "+13035550101", "+442079460000"]);
        for who in ["a", "b", "c", "d"] {
            assert_eq!(pick(&pool, "+13035550199".parse().unwrap(), who), Some(pool[1]));
        }
        assert_eq!(pick(&[], pool[0], "a"), None);
    }

    #[test]
    fn a_client_keeps_its_number_when_others_come() {
        let mut pool = numbers(&["+12125550100", "+12125550101", "+12125550102"]);
        let to: PhoneNumber = "+17075550199".parse().unwrap();
        let clients: Vec<String> = (0..300).map(|id| format!("client {id}")).collect();
        let before: Vec<_> = clients.iter().map(|who| pick(&pool, to, who)).collect();
        for from in &pool {
            let share = before.iter().filter(|chosen| **chosen == Some(*from)).count();
            assert!(share > 50, "each has its share: {share}");
        }
        let added = "+12125550103".parse().unwrap();
        pool.push(added);
        for (who, was) in clients.iter().zip(before) {
            let is = pick(&pool, to, who);
            assert!(is == was || is == Some(added), "moved for nothing");
        }
    }
}
