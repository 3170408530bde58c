//! Query strings: reading and writing, and the JSON in `filters`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::json::mend::in_utf8;

/// Filters: key → values.
pub type Filters = BTreeMap<String, Vec<String>>;

/// The parameters of a request, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands after the question mark. Pairs with a broken escape are left out, as Go does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        Self(
            pairs
                .filter_map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((decode(name, true)?, decode(value, true)?))
                })
                .collect(),
        )
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a parameter if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds `name=1` if the flag is set.
    #[must_use]
    pub fn with_flag(self, name: &str, set: bool) -> Self {
        if set { self.with(name, "1") } else { self }
    }

    /// Adds `filters` unless there are none.
    #[must_use]
    pub fn with_filters(self, filters: &Filters) -> Self {
        if filters.is_empty() { self } else { self.with("filters", write_filters(filters)) }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, if it says something.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A truth value: all words but the empty one, `0`, `no`, `false` and `none` are true.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        let value = self.get(name).unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let joint = if index == 0 { "" } else { "&" };
            write!(f, "{joint}{}={}", encode(name), encode(value))?;
        }
        Ok(())
    }
}

/// Undoes percent escapes (and, in queries, plus signs); each byte that is no UTF-8 becomes U+FFFD, as in Go. `None` if an
/// escape is broken.
#[must_use]
pub fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|error| in_utf8(error.as_bytes())))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

/// Escapes everything but letters, digits and `-._~`, so that it fits into a query or one segment of a path.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            other => write!(escaped, "%{other:02X}").expect("a string takes everything"),
        }
    }
    escaped
}

/// Reads `filters`: `{"key":["value"]}`, or `{"key":{"value":true}}` as clients before 1.22 wrote it.
///
/// # Errors
/// The text is no JSON object of that shape.
pub fn parse_filters(text: &str) -> Result<Filters, serde_json::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Values {
        List(Vec<String>),
        Map(BTreeMap<String, bool>),
    }
    if text.is_empty() {
        return Ok(Filters::new());
    }
    let filters: BTreeMap<String, Values> = serde_json::from_str(text)?;
    let values = |values| match values {
        Values::List(list) => list,
        Values::Map(map) => map.into_iter().filter(|(_, wanted)| *wanted).map(|(value, _)| value).collect(),
    };
    Ok(filters.into_iter().map(|(key, list)| (key, values(list))).collect())
}

/// Writes `filters` in the form every version since 1.22 reads.
#[must_use]
pub fn write_filters(filters: &Filters) -> String {
    let sets = filters.iter().map(|(key, values)| {
        let values: BTreeMap<&str, bool> = values.iter().map(|value| (value.as_str(), true)).collect();
        (key.as_str(), values)
    });
    serde_json::to_string(&sets.collect::<BTreeMap<_, _>>()).expect("strings are JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_are_read_as_docker_reads_them() {
        let query = Query::parse("a=1&b=true&c=0&d=False&e&f=no&g=none&h=yes");
        let truth = |name| query.flag(name);
        assert!(truth("a") && truth("b") && truth("h"));
        assert!(!["c", "d", "e", "f", "g", "missing"].into_iter().any(truth));
    }

    #[test]
    fn the_first_value_wins_and_all_are_kept() {
        let query = Query::parse("names=a&names=b%2Fc+d&x=%zz&=1");
        assert_eq!(query.get("names"), Some("a"));
        assert_eq!(query.all("names").collect::<Vec<_>>(), ["a", "b/c d"]);
        assert_eq!(query.get("x"), None);
    }

    #[test]
    fn each_byte_that_is_no_text_is_replaced() {
        assert_eq!(decode("%e2%82a%ff", false).as_deref(), Some("\u{fffd}\u{fffd}a\u{fffd}"));
        assert_eq!(decode("%e2%82%ac+", true).as_deref(), Some("€ "));
    }

    #[test]
    fn both_forms_of_filters_are_read() {
        let want = Filters::from([("label".to_owned(), vec!["a=b".to_owned()])]);
        for text in [r#"{"label":["a=b"]}"#, r#"{"label":{"a=b":true,"c":false}}"#] {
            assert_eq!(parse_filters(text).expect("good"), want);
        }
        assert!(parse_filters("{\"a\":1}").is_err() && parse_filters("x").is_err());
        assert_eq!(write_filters(&want), r#"{"label":{"a=b":true}}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::vec((".*", ".*"), 0..4)) {
            let query = pairs.iter().fold(Query::default(), |query, (name, value)| query.with(name, value.as_str()));
            let back = Query::parse(&query.to_string());
            for (name, _) in &pairs {
                prop_assert_eq!(back.all(name).collect::<Vec<_>>(), query.all(name).collect::<Vec<_>>());
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in ".*") {
            drop(Query::parse(&text));
            drop(parse_filters(&text));
        }
    }
}
