//! A deserializer around a deserializer, with Go's rules.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::nothing::Nothing;

/// Reads with Go's rules from a self-describing deserializer; see the [module](crate::json).
#[derive(Debug)]
pub struct Go<D>(pub D);

macro_rules! null_or {
    ($($method:ident: $expected:literal),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            struct NullOr<V>(V);
            impl<'de, V: Visitor<'de>> Visitor<'de> for NullOr<V> {
                type Value = V::Value;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.expecting(f)
                }
                fn visit_none<E: Error>(self) -> Result<V::Value, E> {
                    Nothing::new().$method(self.0)
                }
                fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
                    Nothing::new().$method(self.0)
                }
                fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
                    some.$method(Inside { visitor: self.0, expected: Some($expected) })
                }
            }
            self.0.deserialize_option(NullOr(visitor))
        })*
    };
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Inside { visitor, expected: None })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Go<D> {
    type Error = D::Error;

    null_or! {
        deserialize_bool: "true or false", deserialize_i8: "a whole number", deserialize_i16: "a whole number",
        deserialize_i32: "a whole number", deserialize_i64: "a whole number", deserialize_u8: "a whole number",
        deserialize_u16: "a whole number", deserialize_u32: "a whole number", deserialize_u64: "a whole number",
        deserialize_f32: "a number", deserialize_f64: "a number", deserialize_str: "a string",
        deserialize_string: "a string", deserialize_seq: "a list", deserialize_map: "an object",
    }

    forward! {
        deserialize_any(), deserialize_char(), deserialize_bytes(), deserialize_byte_buf(), deserialize_option(),
        deserialize_unit(), deserialize_identifier(), deserialize_ignored_any(),
        deserialize_unit_struct(name: &'static str), deserialize_newtype_struct(name: &'static str),
        deserialize_tuple_struct(name: &'static str, length: usize),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Tuple { length, visitor })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Struct { fields, visitor })
    }
}

/// A visitor that sees what is below it with Go's rules, too, and says in plain words what it expects.
struct Inside<V> {
    visitor: V,
    expected: Option<&'static str>,
}

macro_rules! visit_plain {
    ($($method:ident($kind:ty)),* $(,)?) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> { self.visitor.$method(value) })*
    };
}

macro_rules! visit_number {
    ($($method:ident($kind:ty): $unexpected:ident),* $(,)?) => {
        $(fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            let expected = self.expected;
            self.visitor.$method(value).map_err(|error: E| match expected {
                Some(words) => E::invalid_value(Unexpected::$unexpected(value), &words),
                None => error,
            })
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Inside<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(words) => f.write_str(words),
            None => self.visitor.expecting(f),
        }
    }

    visit_number! { visit_i64(i64): Signed, visit_u64(u64): Unsigned, visit_f64(f64): Float }

    visit_plain! {
        visit_bool(bool), visit_str(&str), visit_borrowed_str(&'de str),
        visit_string(String), visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Go(some))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Go(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Items(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Items(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(variant)
    }
}

/// Items of a list or entries of a map.
struct Items<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Below(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Below(seed))
    }
}

struct Below<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Below<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Go(deserializer))
    }
}

struct Tuple<V> {
    length: usize,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Tuple<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        Nothing::new().deserialize_tuple(self.length, self.visitor)
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        some.deserialize_tuple(self.length, Inside { visitor: self.visitor, expected: None })
    }
}

struct Struct<V> {
    fields: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Struct<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        Nothing::new().deserialize_map(self.visitor)
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<V::Value, D::Error> {
        some.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Fields { entries, fields: self.fields, name: "" })
    }
}

/// Entries of an object whose keys are the names of fields.
struct Fields<A> {
    entries: A,
    fields: &'static [&'static str],
    /// The one that is being read.
    name: &'static str,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        match self.entries.next_key_seed(FieldName(self.fields))? {
            Some(name) => {
                self.name = name;
                seed.deserialize(name.into_deserializer()).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.entries.next_value_seed(Below(seed)).map_err(|error| A::Error::custom(within(self.name, &error)))
    }
}

/// What is wrong in a field, with its name: a field of a field has both.
fn within(name: &str, error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    match text.strip_prefix(FIELD) {
        _ if name.is_empty() => text,
        Some(inner) => format!("{FIELD}{name}.{inner}"),
        None => format!("{FIELD}{name}: {text}"),
    }
}

/// How what is wrong in a field begins.
const FIELD: &str = "field ";

/// Finds the field a key means: the one written so, else one that differs in case only, else none (the empty name).
struct FieldName(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<&'static str, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        let exact = self.0.iter().find(|field| **field == key);
        let folded = || self.0.iter().find(|field| field.eq_ignore_ascii_case(key));
        Ok(exact.or_else(folded).copied().unwrap_or_default())
    }
}
