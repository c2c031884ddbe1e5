//! Who comes to the shop.
//!
//! A visitor is a function of a number alone, made again for each session: any number of them costs no memory,
//! and a customer keeps name and address from run to run.

use fake::Fake as _;
use fake::faker::address::en::{BuildingNumber, CityName, SecondaryAddress, StateAbbr, StreetName, ZipCode};
use fake::faker::internet::en::UserAgent;
use fake::faker::name::raw::{FirstName, LastName};
use fake::locales::{DE_DE, EN, FR_FR};
use rand::RngExt as _;

use super::dice::{Dice, Of, dice};

/// A customer, as the rows of every session of theirs show them.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) address: String,
}

impl Visitor {
    /// Any of `visitors`, at least one.
    pub(super) fn any_of(visitors: u64, chance: &mut Dice) -> Self {
        Self::numbered(chance.random_range(1..=visitors.max(1)))
    }

    fn numbered(number: u64) -> Self {
        let dice = &mut dice(Of::Visitors, number);
        let (first, last) = name(dice);
        // Domains without an owner (RFC 2606). The number makes the address of namesakes different.
        let domain = ["example.com", "example.net", "example.org"][dice.random_range(0..3)];
        let email = format!("{}.{}.{number}@{domain}", mailbox(first), mailbox(last));
        Self { id: format!("C{number:07}"), name: format!("{first} {last}"), email, address: address(dice) }
    }
}

/// Mostly English names, and some whose letters are not ASCII.
fn name(dice: &mut Dice) -> (&'static str, &'static str) {
    match dice.random_range(0..10) {
        0 => (FirstName(FR_FR).fake_with_rng(dice), LastName(FR_FR).fake_with_rng(dice)),
        1 => (FirstName(DE_DE).fake_with_rng(dice), LastName(DE_DE).fake_with_rng(dice)),
        _ => (FirstName(EN).fake_with_rng(dice), LastName(EN).fake_with_rng(dice)),
    }
}

/// The letters of a name that an e-mail address may have.
fn mailbox(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// One line, mostly with commas in it, so that a reader that cannot unquote is found out.
fn address(dice: &mut Dice) -> String {
    let number: String = BuildingNumber().fake_with_rng(dice);
    let street: String = StreetName().fake_with_rng(dice);
    let city: String = CityName().fake_with_rng(dice);
    let state: &str = StateAbbr().fake_with_rng(dice);
    let zip: String = ZipCode().fake_with_rng(dice);
    match dice.random_range(0..4) {
        0 => format!("{number} {street} {city} {state} {zip}"),
        1 => {
            let door: String = SecondaryAddress().fake_with_rng(dice);
            format!("{number} {street}, {door}, {city}, {state} {zip}")
        }
        _ => format!("{number} {street}, {city}, {state} {zip}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Mobile,
    Desktop,
    Tablet,
}

/// The browser of one session, in the mix of devices that shops see: `fake` alone has few telephones.
pub(super) fn user_agent(dice: &mut Dice) -> &'static str {
    let device = match dice.random_range(0..100) {
        0..55 => Device::Mobile,
        55..93 => Device::Desktop,
        _ => Device::Tablet,
    };
    loop {
        let agent: &str = UserAgent().fake_with_rng(dice);
        if device_of(agent) == device {
            return agent;
        }
    }
}

fn device_of(agent: &str) -> Device {
    match agent {
        _ if agent.contains("iPad") => Device::Tablet,
        _ if agent.contains("Mobile") => Device::Mobile,
        // Android without "Mobile" is how tablets call themselves.
        _ if agent.contains("Android") => Device::Tablet,
        _ => Device::Desktop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_the_same_in_every_session() {
        assert_eq!(format!("{:?}", Visitor::numbered(7)), format!("{:?}", Visitor::numbered(7)));
        assert_ne!(Visitor::numbered(7).address, Visitor::numbered(8).address);
    }

    #[test]
    fn every_device_comes_by() {
        let dice = &mut dice(Of::Rows, 1);
        let devices: Vec<_> = (0..500).map(|_| device_of(user_agent(dice))).collect();
        for device in [Device::Mobile, Device::Desktop, Device::Tablet] {
            assert!(devices.contains(&device), "{device:?}");
        }
    }
}
