//! One visit to the shop, from the first view until the visitor leaves.
//!
//! What a visitor does next depends on the last step alone, so that the funnel narrows as it does in life:
//! only what was viewed gets into the cart, and only what is in the cart is bought.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rand::RngExt as _;
use uuid::Builder;

use super::catalogue::{Catalogue, Product};
use super::dice::Dice;
use super::visitor::{Visitor, user_agent};

/// A visitor on one device, with a cart.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) visitor: Visitor,
    pub(super) user_agent: &'static str,
    pub(super) ip_address: String,
    cart: Vec<Arc<Product>>,
    last: Last,
}

/// What the next step depends on.
#[derive(Debug)]
enum Last {
    /// Came in.
    Arrived,
    /// Saw a product in a list or on its page.
    Viewed(Arc<Product>),
    /// Looked closer at it.
    Clicked(Arc<Product>),
    /// Set it aside, for now or for good.
    Shelved,
    /// Put something into the cart, and may check out.
    Carted,
}

/// What a visitor did, with which product.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) event_type: &'static str,
    pub(super) product: Arc<Product>,
}

impl Session {
    /// Someone of `visitors` comes in.
    pub(super) fn open(visitors: u64, dice: &mut Dice) -> Self {
        // Addresses that are set aside for benchmarks and have no owner: 198.18.0.0/15 (RFC 2544).
        let ip_address = Ipv4Addr::new(198, dice.random_range(18..=19), dice.random(), dice.random());
        Self {
            id: Builder::from_random_bytes(dice.random()).into_uuid().to_string(),
            visitor: Visitor::any_of(visitors, dice),
            user_agent: user_agent(dice),
            ip_address: ip_address.to_string(),
            cart: Vec::new(),
            last: Last::Arrived,
        }
    }

    /// What the visitor does next; None when they leave.
    pub(super) fn step(&mut self, catalogue: &Catalogue, dice: &mut Dice) -> Option<Step> {
        let percent = dice.random_range(0..100);
        let step = match std::mem::replace(&mut self.last, Last::Shelved) {
            Last::Arrived => self.view(catalogue.pick(dice)),
            Last::Viewed(product) => match percent {
                0..30 => self.click(product),
                30..38 => self.add_to_cart(product),
                38..43 => Step { event_type: "add_to_wishlist", product },
                43..85 => self.view(catalogue.pick(dice)),
                _ => return None,
            },
            Last::Clicked(product) => match percent {
                0..28 => self.add_to_cart(product),
                28..36 => Step { event_type: "add_to_wishlist", product },
                36..85 => self.view(catalogue.pick(dice)),
                _ => return None,
            },
            Last::Carted if !self.cart.is_empty() => match percent {
                0..35 => self.take_from_cart("purchase", dice),
                35..43 => self.take_from_cart("remove_from_cart", dice),
                43..90 => self.view(catalogue.pick(dice)),
                _ => return None,
            },
            Last::Carted | Last::Shelved => match percent {
                0..60 => self.view(catalogue.pick(dice)),
                _ => return None,
            },
        };
        Some(step)
    }

    fn view(&mut self, product: Arc<Product>) -> Step {
        self.last = Last::Viewed(Arc::clone(&product));
        Step { event_type: "view", product }
    }

    fn click(&mut self, product: Arc<Product>) -> Step {
        self.last = Last::Clicked(Arc::clone(&product));
        Step { event_type: "click", product }
    }

    fn add_to_cart(&mut self, product: Arc<Product>) -> Step {
        self.last = Last::Carted;
        self.cart.push(Arc::clone(&product));
        Step { event_type: "add_to_cart", product }
    }

    fn take_from_cart(&mut self, event_type: &'static str, dice: &mut Dice) -> Step {
        self.last = Last::Carted;
        let taken = dice.random_range(0..self.cart.len());
        Step { event_type, product: self.cart.swap_remove(taken) }
    }
}
