//! YAML as a tree that serde reads. JSON is YAML, too.
//!
//! A word without quotes is text where text is wanted, and a number, a truth or nothing where those are: who writes
//! `name: 0` means a name.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use dhow_errdefs::{Error, Result};
use granit_parser::{Event, Parser, ScalarStyle};
use serde::de::value::{Error as Mismatch, MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Nodes a document may have, those included that aliases repeat.
const MOST_NODES: usize = 100_000;
/// Bytes of all their texts.
const MOST_BYTES: usize = 8 << 20;

/// One value, in the order of the file. What aliases repeat is there once.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Scalar { text: String, plain: bool },
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// The first document of a text; `None` where there is none.
    ///
    /// # Errors
    /// `Invalid`, with line and column; more nodes or text than anybody needs; a key that comes twice in a map.
    pub(super) fn parse(text: &str) -> Result<Option<Rc<Self>>> {
        let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), size: Size::default() };
        loop {
            match reader.next()? {
                Event::StreamEnd => return Ok(None),
                Event::StreamStart | Event::DocumentStart(..) => {}
                event => return reader.node(event).map(|node| Some(node).filter(|node| !node.is_nothing())),
            }
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// How much there is to read in a node: who reads it, reads what aliases repeat each time.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

/// Makes a tree of events.
struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Rc<Node>, Size)>,
    /// Of everything so far.
    size: Size,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(Error::invalid(error.to_string())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn count(&mut self, nodes: usize, bytes: usize) -> Result<()> {
        self.size.nodes += nodes;
        self.size.bytes += bytes;
        if self.size.nodes > MOST_NODES {
            return Err(Error::invalid(format!("more than {MOST_NODES} values")));
        }
        if self.size.bytes > MOST_BYTES {
            return Err(Error::invalid(format!("values of more than {MOST_BYTES} bytes")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>) -> Result<Rc<Node>> {
        let before = self.size;
        self.count(1, 0)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                self.count(0, text.len())?;
                (Node::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let (node, size) = known.ok_or_else(|| Error::invalid("an alias inside of what it stands for"))?;
                self.count(size.nodes, size.bytes)?;
                return Ok(node);
            }
            _ => return Err(Error::invalid("a value is missing")),
        };
        let node = Rc::new(node);
        if anchor != 0 {
            let size = Size { nodes: self.size.nodes - before.nodes, bytes: self.size.bytes - before.bytes };
            self.anchors.insert(anchor, (Rc::clone(&node), size));
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Node::List(items)),
                event => items.push(self.node(event)?),
            }
        }
    }

    fn map(&mut self) -> Result<Node> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                Event::MappingEnd => return unique(&entries).map(|()| Node::Map(entries)),
                event => {
                    let key = self.node(event)?;
                    let value = self.next()?;
                    entries.push((key, self.node(value)?));
                }
            }
        }
    }
}

/// Of two values with one key, nobody can say which one is meant.
fn unique(entries: &[(Rc<Node>, Rc<Node>)]) -> Result<()> {
    let mut seen = HashSet::new();
    for (key, _) in entries {
        if let Node::Scalar { text, .. } = &**key
            && !seen.insert(text)
        {
            return Err(Error::invalid(format!("duplicate field `{text}`")));
        }
    }
    Ok(())
}

/// A number as YAML writes it, and as its version 1.1 did: file modes are octal by a `0` in front.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let octal = || digits.strip_prefix("0o").or_else(|| digits.strip_prefix('0').filter(|it| !it.is_empty()));
    let (digits, radix) = if let Some(hex) = digits.strip_prefix("0x") {
        (hex, 16)
    } else {
        octal().map_or((digits, 10), |octal| (octal, 8))
    };
    // What reads digits takes a sign before them, of which there was one.
    let value = digits.starts_with(|first: char| first.is_digit(radix)).then(|| i128::from_str_radix(digits, radix))?;
    i64::try_from(sign * value.ok()?).ok()
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Node::List(items) => SeqDeserializer::new(items.iter().map(|item| &**item)).deserialize_any(visitor),
            Node::Map(entries) => {
                MapDeserializer::new(entries.iter().map(|(key, value)| (&**key, &**value))).deserialize_any(visitor)
            }
            Node::Scalar { .. } if self.is_nothing() => visitor.visit_unit(),
            Node::Scalar { text, plain: true } => match (text.as_str(), number(text)) {
                ("true", _) => visitor.visit_bool(true),
                ("false", _) => visitor.visit_bool(false),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_str(text),
            },
            Node::Scalar { text, .. } => visitor.visit_str(text),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Node::Scalar { .. } if self.is_nothing() => visitor.visit_str(""),
            Node::Scalar { text, .. } => visitor.visit_str(text),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.is_nothing() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Nothing is an empty list, as in Go.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let none = std::iter::empty::<&Node>();
        if self.is_nothing() {
            SeqDeserializer::new(none).deserialize_any(visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let none = std::iter::empty::<(&Node, &Node)>();
        if self.is_nothing() {
            MapDeserializer::new(none).deserialize_any(visitor)
        } else {
            self.deserialize_any(visitor)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        // What serde makes for a structure would take a list for its fields in order.
        match self {
            Node::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)),
            _ => self.deserialize_map(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct enum ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Mismatch> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
        let node = Node::parse(text).map_err(|error| error.to_string())?.ok_or("nothing")?;
        T::deserialize(&*node).map_err(|error| error.to_string())
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        name: String,
        mode: Option<u32>,
        on: bool,
        words: Vec<String>,
    }

    #[test]
    fn words_are_what_is_wanted() {
        let sample = Sample { name: "0".into(), mode: Some(0o660), on: true, words: vec!["a".into(), "1".into()] };
        assert_eq!(read::<Sample>("name: 0\nmode: 0660\non: true\nwords: [a, 1]\n").unwrap(), sample);
        assert_eq!(
            read::<Sample>("# x\n---\nname: '0'\nmode: 432\non: true\nwords:\n- a\n- \"1\"\n...\n").unwrap(),
            sample
        );
        let json = "{\n\t\"name\": \"0\",\n\t\"mode\": 432,\n\t\"on\": true,\n\t\"words\": [\n\t\t\"a\",\n\t\t\"\\u0031\"\n\t]\n}\n";
        assert_eq!(read::<Sample>(json).unwrap(), sample);
        assert_eq!(read::<Sample>("name: ~\nwords:\nmode: null\n").unwrap(), Sample::default());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert!(read::<Sample>("nam: x").unwrap_err().contains("unknown field `nam`"));
        assert!(read::<Sample>("mode: [1]").unwrap_err().contains("invalid type"));
        assert!(read::<Sample>("mode: -1").is_err() && read::<Sample>("- a\n").is_err());
        assert!(read::<Sample>("name: [").unwrap_err().contains("line"));
        assert!(read::<Sample>("name: a\nname: b").unwrap_err().contains("duplicate field"));
        assert_eq!(Node::parse("# nothing\n").unwrap(), None);
    }

    #[test]
    fn a_key_comes_once() {
        let words = |text: &str| Node::parse(text).unwrap_err().to_string();
        assert!(words("a: {b: 1, c: 2, 'b': 3}").contains("duplicate field `b`"));
        assert!(words("a: &a b\n*a : 1\nb: 2").contains("duplicate field `b`"));
        assert!(Node::parse("a: {b: 1}\nc: {b: 1}").is_ok());
    }

    #[test]
    fn a_number_has_one_sign_and_fits() {
        for text in ["0x-5", "0x+5", "0o-5", "0-5", "--5", "-+5", "0x", "0o", "-", "", "08", "0x8000000000000000"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number("-0x-8000000000000000"), None);
        for (text, value) in [("0", 0), ("-0x5", -5), ("0660", 0o660), ("0o17", 15), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(number(text), Some(value), "{text}");
        }
    }

    #[test]
    fn aliases_repeat_but_not_without_end() {
        assert_eq!(read::<Sample>("words: [&a x, *a]").unwrap().words, ["x", "x"]);
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            text += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
        }
        assert!(Node::parse(&text).unwrap_err().to_string().contains("more than"), "{text}");
        assert!(Node::parse("a: &a [*a]").is_err());
        assert!(Node::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn what_aliases_repeat_is_shared_and_its_bytes_are_counted() {
        let node = Node::parse("[&a [x], *a]").unwrap().unwrap();
        let Node::List(items) = &*node else { panic!("{node:?}") };
        assert!(Rc::ptr_eq(&items[0], &items[1]));
        let text = format!("- &a {}\n{}", "x".repeat(3 << 20), "- *a\n".repeat(99_000));
        assert!(Node::parse(&text).unwrap_err().to_string().contains("bytes"));
        // Each level is little, and together they are not.
        let mut text = format!("- &a0 [{}]\n", "x".repeat(1 << 20));
        for level in 1..20 {
            text += &format!("- &a{level} {{k: *a{0}, l: *a{0}}}\n", level - 1);
        }
        assert!(Node::parse(&text).unwrap_err().to_string().contains("bytes"));
        assert!(Node::parse(&format!("- &a {}\n- *a\n", "x".repeat(3 << 20))).is_ok());
    }
}
