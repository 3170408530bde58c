//! Reading JSON the way Go's `encoding/json` does, on which Docker's clients rely.
//!
//! Five rules differ from serde's: `null` leaves the zero value, field names match without regard to case (an exact match
//! wins), fields that are not known are ignored, of a field that comes twice the last one counts, and what is no Unicode
//! becomes U+FFFD. But for the last two, which change the text before, they are put around
//! any [`Deserializer`] in one pass, so that nothing is buffered and the types carry no attributes for it.

mod fault;
mod go;
pub(crate) mod mend;
mod nothing;
mod twice;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use fault::{Fault, fault};
pub use go::Go;

/// Reads one JSON document. Types are to derive `Deserialize` with `#[serde(default)]` and without `flatten`.
///
/// # Errors
/// The text is no JSON, a value has the wrong kind, something follows the document, or more than 32 fields come twice.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let text = &*mend::mended(text);
    let mut result = read(text);
    let mut changed = Vec::new();
    for _ in 0..twice::MOST {
        // So serde's derived code calls it.
        let Err(error) = &result else { break };
        if !error.to_string().contains("duplicate field") {
            break;
        }
        let before = if changed.is_empty() { text } else { &changed };
        let Some(after) = twice::without_first(before, error.line(), error.column()) else { break };
        changed = after;
        result = read(&changed);
    }
    result
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(Go(&mut reader))?;
    reader.end().map(|()| value)
}

/// Reads a value out of a document that is parsed already.
///
/// # Errors
/// A value has the wrong kind.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de serde_json::Value) -> Result<T, serde_json::Error> {
    T::deserialize(Go(value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Ship {
        name: String,
        masts: i64,
        afloat: bool,
        crew: Option<Vec<String>>,
        cargo: BTreeMap<String, Ship>,
        #[serde(rename = "URL")]
        url: String,
    }

    #[test]
    fn null_is_the_zero_value_everywhere() {
        let text = br#"{"Name":null,"Masts":null,"Afloat":null,"Crew":null,"Cargo":{"a":null},"URL":null}"#;
        let ship: Ship = from_slice(text).expect("good");
        assert_eq!(ship, Ship { cargo: BTreeMap::from([("a".into(), Ship::default())]), ..Ship::default() });
        assert_eq!(from_slice::<Ship>(b"null").expect("good"), Ship::default());
        assert_eq!(from_slice::<Vec<u8>>(b"null").expect("good"), Vec::<u8>::new());
        assert_eq!(from_slice::<Vec<String>>(br#"["a",null]"#).expect("good"), ["a", ""]);
    }

    #[test]
    fn names_match_without_case_but_keys_of_maps_keep_theirs() {
        let ship: Ship = from_slice(br#"{"NAME":"x","url":"y","cargo":{"Tea":{"masts":2}}}"#).expect("good");
        assert_eq!((ship.name.as_str(), ship.url.as_str()), ("x", "y"));
        assert_eq!(ship.cargo["Tea"].masts, 2);
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_one_counts() {
        let read = |text: &[u8]| from_slice::<Ship>(text).expect("good");
        assert_eq!(read(br#"{"Name":"a","name":"b"}"#).name, "b");
        assert_eq!(read(br#"{"name":"b","Name":"a","Masts":-1,"masts":2,"Later":1,"Later":2}"#).masts, 2);
        let ship =
            read(br#"{"Crew":["x"],"crew":null,"Cargo":{"a":{"URL":"1","url":"2"},"A":{"afloat":true}},"Name":"n"}"#);
        assert_eq!((ship.crew, ship.name.as_str(), ship.cargo["a"].url.as_str()), (None, "n", "2"));
        assert!(ship.cargo["A"].afloat, "keys of maps are no fields");
        assert!(from_slice::<Ship>(br#"{"Name":"a","name":7}"#).is_err());
        let many = format!("{{{}\"Name\":\"z\"}}", "\"name\":\"a\",".repeat(100_000));
        assert!(from_slice::<Ship>(many.as_bytes()).is_err(), "it is not read a hundred thousand times");
    }

    #[test]
    fn what_is_no_unicode_is_replaced() {
        let ship: Ship =
            from_slice(b"{\"Name\":\"a\\ud800b\",\"URL\":\"\xffx\",\"crew\":[\"\\ud83d\\ude00\"]}").expect("good");
        assert_eq!((ship.name.as_str(), ship.url.as_str()), ("a\u{fffd}b", "\u{fffd}x"));
        assert_eq!(ship.crew.expect("one"), ["\u{1f600}"]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in ["{", "{} x", r#"{"Masts":"three"}"#, r#"{"Crew":{}}"#, "[]"] {
            assert!(from_slice::<Ship>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        for (text, said) in [
            (r#"{"masts":"three"}"#, "field Masts: invalid type: string \"three\", expected a whole number at line 1"),
            (r#"{"Masts":1e30}"#, "field Masts: invalid value: floating point `1e+30`, expected a whole number"),
            (r#"{"Name":7}"#, "field Name: invalid type: integer `7`, expected a string"),
            (r#"{"Crew":{}}"#, "field Crew: invalid type: map, expected a list"),
            (r#"{"Cargo":{"a":{"Afloat":"yes"}}}"#, "field Cargo.Afloat: invalid type: string"),
            ("[]", "invalid type: sequence, expected an object"),
        ] {
            let error = from_slice::<Ship>(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored_whatever_they_hold() {
        let ship: Ship = from_slice(br#"{"Later":{"a":[1,null,{"b":2.5}]},"Masts":3}"#).expect("good");
        assert_eq!(ship.masts, 3);
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_the_same(name in ".*", masts: i64, crew in proptest::option::of(proptest::collection::vec(".*", 0..3))) {
            let ship = Ship { name, masts, crew, ..Ship::default() };
            let text = serde_json::to_vec(&ship).expect("plain data");
            prop_assert_eq!(from_slice::<Ship>(&text).expect("good"), ship);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            drop(from_slice::<Ship>(text.as_bytes()));
        }
    }
}
