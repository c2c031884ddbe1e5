//! Maps the words of a file to event types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use common::config::EventTypes;
use common::event::TYPES;
use serde::{Deserialize, Serialize};

/// Words that other systems use for the built-in types.
const ALIASES: [(&str, &str); 14] = [
    ("cart", "add_to_cart"),
    ("addtocart", "add_to_cart"),
    ("cart_add", "add_to_cart"),
    ("wishlist", "add_to_wishlist"),
    ("addtowishlist", "add_to_wishlist"),
    ("wishlist_add", "add_to_wishlist"),
    ("removefromcart", "remove_from_cart"),
    ("cart_remove", "remove_from_cart"),
    ("page_view", "view"),
    ("pageview", "view"),
    ("product_view", "view"),
    ("order", "purchase"),
    ("transaction", "purchase"),
    ("buy", "purchase"),
];

/// The longest event type, in bytes: it becomes a part of a subject.
const LONGEST: usize = 128;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventTypeRule {
    types: EventTypes,
    aliases: BTreeMap<String, String>,
}

impl EventTypeRule {
    pub(crate) fn new(types: EventTypes, aliases: BTreeMap<String, String>) -> Self {
        Self { types, aliases }
    }

    /// The event type of `word`. The error lists those that are accepted.
    pub(crate) fn resolve<'a>(&'a self, word: &'a str) -> Result<Cow<'a, str>, String> {
        if let Some(meant) = self.aliases.get(word) {
            return Ok(meant.into());
        }
        if word.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let also = match &self.types {
            EventTypes::Any => return Ok(word.into()),
            EventTypes::Also(also) => also,
        };
        if TYPES.contains(&word) || also.iter().any(|one| one == word) {
            return Ok(word.into());
        }
        let plain: String = word.trim().to_lowercase().replace([' ', '-'], "_");
        if TYPES.contains(&plain.as_str()) || also.contains(&plain) {
            return Ok(plain.into());
        }
        let meant = ALIASES.iter().find(|(alias, _)| *alias == plain).map(|&(_, meant)| meant.into());
        meant.ok_or_else(|| {
            let known: Vec<&str> = TYPES.into_iter().chain(also.iter().map(String::as_str)).collect();
            format!(
                "is no known event type; known are {}; add it to types in its [[source]]",
                known.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_for_built_in_types_are_known_unless_any_type_goes() {
        let strict = EventTypeRule::new(EventTypes::default(), BTreeMap::new());
        assert_eq!(strict.resolve("cart").as_deref(), Ok("add_to_cart"));
        assert_eq!(strict.resolve("Add To Cart").as_deref(), Ok("add_to_cart"));
        assert!(strict.resolve("search").unwrap_err().contains("types in its [[source]]"));
        let any = EventTypeRule::new(EventTypes::Any, BTreeMap::new());
        assert_eq!(any.resolve("cart").as_deref(), Ok("cart"));
    }

    #[test]
    fn configured_aliases_come_first() {
        let aliases = BTreeMap::from([("sold".to_owned(), "purchase".to_owned())]);
        let rule = EventTypeRule::new(EventTypes::Also(vec!["search".to_owned()]), aliases);
        assert_eq!(rule.resolve("sold").as_deref(), Ok("purchase"));
        assert_eq!(rule.resolve("search").as_deref(), Ok("search"));
    }

    #[test]
    fn a_configured_type_keeps_its_spelling() {
        let rule = EventTypeRule::new(EventTypes::Also(vec!["SearchBox".to_owned()]), BTreeMap::new());
        assert_eq!(rule.resolve("SearchBox").as_deref(), Ok("SearchBox"));
    }

    #[test]
    fn an_event_type_is_bounded_because_it_is_a_part_of_a_subject() {
        let any = EventTypeRule::new(EventTypes::Any, BTreeMap::new());
        let longest = "x".repeat(128);
        assert_eq!(any.resolve(&longest).as_deref(), Ok(longest.as_str()));
        assert!(any.resolve(&"x".repeat(129)).unwrap_err().contains("128 bytes"));
    }
}
