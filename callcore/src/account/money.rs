use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::campaign::Fields;

/// How many digits may follow the point.
const DIGITS: usize = 6;
const MICROS: u64 = 1_000_000;
/// The largest amount, in whole units.
const MAX_UNITS: u64 = 1_000_000_000;

/// An amount of money in millionths of the carrier's currency, whichever that is: written as a
/// decimal text, so that no binary fraction rounds it.
///
/// ```
/// use callcore::account::Money;
/// let price: Money = "0.014".parse()?;
/// assert_eq!(price.micros(), 14_000);
/// assert_eq!(Money::from_micros(25_000_000).to_string(), "25.00");
/// # Ok::<(), callcore::account::MoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(u64);

/// A text is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a decimal text such as \"25.00\", with at most {DIGITS} digits after the point")]
pub struct MoneyError;

impl Money {
    /// An amount of so many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The amount in millionths.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The sum of two amounts; more than can be counted stays at the most that can.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times the amount.
    #[must_use]
    pub const fn times(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % MICROS);
        // Cents are always shown, what is finer only where there is some.
        let fine = fraction[2..].trim_end_matches('0');
        write!(f, "{}.{}{fine}", self.0 / MICROS, &fraction[..2])
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(units) || !digits(fraction) || fraction.len() > DIGITS {
            return Err(MoneyError);
        }
        let units: u64 = units.parse().map_err(|_| MoneyError)?;
        let fraction: u64 = format!("{fraction:0<DIGITS$}").parse().map_err(|_| MoneyError)?;
        if units > MAX_UNITS {
            return Err(MoneyError);
        }
        Ok(Self(units * MICROS + fraction))
    }
}

impl TryFrom<String> for Money {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

/// What a local day may cost, and what calls are estimated to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendPerDay {
    /// The most a day may cost.
    pub amount: Money,
    /// What every dial costs, answered or not.
    pub per_call: Money,
    /// What every started minute of talk costs.
    pub per_minute: Money,
}

impl SpendPerDay {
    pub(super) fn read(fields: &mut Fields) -> Option<Self> {
        let mut spend = fields.nested("spend_per_day")?;
        let known = |fields: &mut Fields| {
            let amount = spend_of(fields, "amount");
            let per_call = spend_of(fields, "per_call");
            let per_minute = spend_of(fields, "per_minute");
            Some(Self { amount: amount?, per_call: per_call?, per_minute: per_minute? })
        };
        let read = known(&mut spend);
        if let Some(read) = read
            && read.per_call == Money::default()
            && read.per_minute == Money::default()
        {
            spend.refuse_field("per_call", "free", "calls that cost nothing reach no amount");
        }
        fields.end_nested(spend);
        read
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "amount": self.amount,
            "per_call": self.per_call,
            "per_minute": self.per_minute,
        })
    }
}

/// An amount; one that a price list leaves out is nothing.
fn spend_of(fields: &mut Fields, field: &str) -> Option<Money> {
    if !fields.has(field) {
        if field == "amount" {
            fields.refuse_field(field, "required", "is required");
            return None;
        }
        return Some(Money::default());
    }
    fields.optional(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_read_back() {
        for (text, micros, shown) in [
            ("25", 25_000_000, "25.00"),
            ("25.5", 25_500_000, "25.50"),
            ("0.014", 14_000, "0.014"),
            ("0.000001", 1, "0.000001"),
            ("0", 0, "0.00"),
            ("1000000000.999999", 1_000_000_000_999_999, "1000000000.999999"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.micros(), &*money.to_string()), (micros, shown));
            assert_eq!(money.to_string().parse(), Ok(money));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0.0000001", "2000000000"]
        {
            assert_eq!(text.parse::<Money>(), Err(MoneyError), "{text:?}");
        }
    }
}
