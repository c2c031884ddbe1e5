//! What the shop sells.
//!
//! A product is a function of its number alone. Runs of any seed sell the same things at the same prices, so
//! that what several of them wrote can be queried together.

use std::sync::Arc;

use rand::RngExt as _;

use super::dice::{Dice, Of, dice};

/// Something that can be bought.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) brand: &'static str,
    pub(super) sku: String,
    /// With two decimals, as it is written.
    pub(super) price: String,
}

/// All products, some far more popular than others.
#[derive(Debug)]
pub(super) struct Catalogue {
    products: Vec<Arc<Product>>,
    /// The running sum of popularities: a point below `reach[n]`, and below none before it, is product n's.
    reach: Vec<u64>,
    popularity: u64,
}

impl Catalogue {
    /// Products number 1 to `size`, at least one.
    pub(super) fn new(size: u64) -> Self {
        let mut catalogue = Self { products: Vec::new(), reach: Vec::new(), popularity: 0 };
        for number in 1..=size.max(1) {
            let dice = &mut dice(Of::Products, number);
            catalogue.popularity += popularity(dice);
            catalogue.reach.push(catalogue.popularity);
            catalogue.products.push(Arc::new(Product::new(number, dice)));
        }
        catalogue
    }

    /// A product, by popularity.
    pub(super) fn pick(&self, dice: &mut Dice) -> Arc<Product> {
        let point = dice.random_range(0..self.popularity);
        let picked = self.reach.partition_point(|reach| *reach <= point);
        Arc::clone(&self.products[picked])
    }
}

/// By Zipf's law: one over the rank, the rank being drawn, so that a larger catalogue only adds products.
fn popularity(dice: &mut Dice) -> u64 {
    const RANKS: u64 = 1_000;
    RANKS * RANKS / dice.random_range(1..=RANKS)
}

impl Product {
    fn new(number: u64, dice: &mut Dice) -> Self {
        let category = &CATEGORIES[dice.random_range(0..CATEGORIES.len())];
        let brand = choose(&category.brands, dice);
        let (style, thing) = (choose(&STYLES, dice), choose(&category.things, dice));
        let cents = category.cents(dice);
        Self {
            id: format!("P{number:06}"),
            name: format!("{brand} {style} {thing}"),
            category: category.name,
            brand,
            sku: format!("{}-{}-{number:06}", code(category.name), code(brand)),
            price: format!("{}.{:02}", cents / 100, cents % 100),
        }
    }
}

fn choose(words: &[&'static str], dice: &mut Dice) -> &'static str {
    words[dice.random_range(0..words.len())]
}

/// A name's first three letters, as they stand in a SKU.
fn code(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).take(3).collect::<String>().to_ascii_uppercase()
}

/// A shelf of the shop: what stands on it is made of these words and prices.
struct Category {
    name: &'static str,
    /// The cheapest and the dearest, in whole units of the currency.
    prices: (u64, u64),
    brands: [&'static str; 6],
    things: [&'static str; 8],
}

impl Category {
    /// A price in hundredths. Its square makes cheap things the more frequent.
    fn cents(&self, dice: &mut Dice) -> u64 {
        const STEPS: u64 = 10_000;
        let (cheapest, dearest) = self.prices;
        let step = dice.random_range(0..=STEPS);
        cheapest * 100 + (dearest - cheapest) * 100 * step * step / (STEPS * STEPS)
    }
}

const STYLES: [&str; 10] =
    ["Classic", "Compact", "Deluxe", "Essential", "Everyday", "Modern", "Premium", "Pro", "Ultra", "Vintage"];

const CATEGORIES: [Category; 5] = [
    Category {
        name: "Electronics",
        prices: (50, 2_000),
        brands: ["Voltara", "Nexon", "Lumetic", "Ohmstead", "Quanta Bay", "Pixelwright"],
        things: [
            "Laptop",
            "Headphones",
            "Smartphone",
            "Tablet",
            "Camera",
            "Monitor",
            "Smartwatch",
            "Speaker",
        ],
    },
    Category {
        name: "Clothing",
        prices: (10, 200),
        brands: ["Weft & Warp", "Northloom", "Solano", "Fjordwear", "Marigold", "Threadbare"],
        things: ["T-Shirt", "Jeans", "Jacket", "Dress", "Sweater", "Scarf", "Shirt", "Coat"],
    },
    Category {
        name: "Books",
        prices: (5, 60),
        brands: ["Paper Lantern", "Inkwell Press", "Foliant", "Harbour House", "Margin", "Quarto"],
        things: ["Novel", "Cookbook", "Atlas", "Biography", "Dictionary", "Poems", "Guidebook", "Thriller"],
    },
    Category {
        name: "Sports",
        prices: (15, 500),
        brands: ["Trailmark", "Kestrel", "Ironbark", "Summitline", "Velora", "Rapid & Co"],
        things: [
            "Running Shoes",
            "Tent",
            "Bicycle Helmet",
            "Yoga Mat",
            "Dumbbells",
            "Racket",
            "Ball",
            "Backpack",
        ],
    },
    Category {
        name: "Home & Garden",
        prices: (10, 800),
        brands: ["Hearthside", "Greenfold", "Oak & Linen", "Copperleaf", "Casa Lumo", "Plumtree"],
        things: ["Lamp", "Armchair", "Lawn Mower", "Cookware Set", "Rug", "Bookshelf", "Planter", "Blender"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_to_the_range_of_their_category() {
        let catalogue = Catalogue::new(2_000);
        for category in &CATEGORIES {
            let (cheapest, dearest) = category.prices;
            let mut prices = catalogue
                .products
                .iter()
                .filter(|product| product.category == category.name)
                .map(|product| product.price.parse::<f64>().unwrap())
                .peekable();
            assert!(prices.peek().is_some(), "{} is empty", category.name);
            assert!(prices.all(|price| price >= cheapest as f64 && price <= dearest as f64));
        }
    }

    #[test]
    fn a_larger_catalogue_only_adds_products() {
        let (small, large) = (Catalogue::new(10), Catalogue::new(500));
        for (one, other) in small.products.iter().zip(&large.products) {
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }

    #[test]
    fn the_most_popular_tenth_draws_most_of_the_interest() {
        let catalogue = Catalogue::new(500);
        let mut popularity: Vec<_> = std::iter::once(&0)
            .chain(&catalogue.reach)
            .zip(&catalogue.reach)
            .map(|(from, to)| to - from)
            .collect();
        popularity.sort_unstable_by(|one, other| other.cmp(one));
        assert!(popularity[..50].iter().sum::<u64>() * 2 > catalogue.popularity);
    }
}
