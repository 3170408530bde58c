//! Names for containers that were not given one: `adjective_surname`, as Docker's users know them.
//!
//! The surnames are of people who moved the sea, the sky or the sciences forward.

const ADJECTIVES: [&str; 96] = [
    "able", "agile", "airy", "amber", "ample", "arch", "avid", "azure", "balmy", "blithe", "bold", "brave", "breezy",
    "bright", "brisk", "calm", "candid", "chirpy", "civil", "clear", "clever", "coral", "cosy", "crisp", "curious",
    "daring", "deft", "dreamy", "eager", "early", "easy", "elated", "fair", "fervent", "fleet", "fluent", "fond",
    "frank", "fresh", "gallant", "genial", "gentle", "glad", "golden", "graceful", "grand", "happy", "hardy", "hearty",
    "honest", "humble", "jaunty", "jolly", "jovial", "keen", "kind", "limber", "lively", "lucid", "lucky", "lunar",
    "mellow", "merry", "mighty", "mild", "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite",
    "proud", "quick", "quiet", "rapid", "ready", "robust", "salty", "serene", "sharp", "silent", "snug", "solid",
    "steady", "sturdy", "sunny", "swift", "tender", "tidy", "trusty", "upbeat", "vivid", "warm", "witty",
];

const SURNAMES: [&str; 96] = [
    "abel",
    "agnesi",
    "ampere",
    "anning",
    "aryabhata",
    "avogadro",
    "babbage",
    "banneker",
    "bassi",
    "battuta",
    "bell",
    "bernoulli",
    "bohr",
    "boole",
    "bose",
    "boyle",
    "brahe",
    "cannon",
    "carson",
    "cauchy",
    "cavendish",
    "celsius",
    "chatelet",
    "cook",
    "copernicus",
    "cousteau",
    "curie",
    "dalton",
    "darwin",
    "descartes",
    "dirac",
    "earhart",
    "eratosthenes",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "fibonacci",
    "fleming",
    "fourier",
    "franklin",
    "galilei",
    "galois",
    "gauss",
    "germain",
    "goodall",
    "hamilton",
    "heisenberg",
    "henson",
    "herschel",
    "hertz",
    "hilbert",
    "hopper",
    "hubble",
    "humboldt",
    "huygens",
    "hypatia",
    "ibnmajid",
    "johnson",
    "joule",
    "kepler",
    "khwarizmi",
    "kovalevskaya",
    "lagrange",
    "laplace",
    "leavitt",
    "leibniz",
    "linnaeus",
    "lovelace",
    "magellan",
    "maxwell",
    "meitner",
    "mendel",
    "mendeleev",
    "merian",
    "nansen",
    "newton",
    "noether",
    "ohm",
    "pascal",
    "pasteur",
    "planck",
    "polo",
    "ptolemy",
    "ramanujan",
    "riemann",
    "rubin",
    "somerville",
    "tereshkova",
    "tesla",
    "turing",
    "volta",
    "wegener",
    "zhenghe",
];

/// A name that `taken` does not know. Pairs first; when a few are taken, a digit or more is added.
pub(crate) fn generate(taken: impl Fn(&str) -> bool) -> String {
    let mut tries = 0_u32;
    loop {
        let adjective = fastrand::choice(ADJECTIVES).expect("the list is not empty");
        let surname = fastrand::choice(SURNAMES).expect("the list is not empty");
        let name = match tries {
            0..6 => format!("{adjective}_{surname}"),
            _ => format!("{adjective}_{surname}{}", fastrand::u32(0..10 * tries)),
        };
        if !taken(&name) {
            return name;
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_new_also_when_every_pair_is_taken() {
        let pair = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let name = generate(pair);
        assert!(!pair(&name), "{name}");
    }

    #[test]
    fn every_word_is_there_once_and_makes_a_valid_name() {
        for list in [ADJECTIVES, SURNAMES] {
            assert_eq!(list.iter().collect::<HashSet<_>>().len(), list.len());
            assert!(list.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
        }
    }
}
