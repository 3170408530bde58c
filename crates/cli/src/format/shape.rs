//! Docker's Go types, as far as templates see them: names and order of fields, and what a field is when nobody says it.
//!
//! `types.txt` has a type per line: its name, then its fields as `Name=wire:kind`. The wire's name is left out where it is
//! the same; `@kind` is an embedded type, whose fields stand in the same JSON object. Kinds: nothing for text, `b` a bool,
//! `i` a number, `d` a duration, `t` a time, `x` anything, `?k` a pointer to a plain value, `[k` a list, `{k` a map, `<k`
//! a map whose keys are no plain strings, `*name` a pointer to a type, and a type's name.

use std::sync::Arc;

const TYPES: &str = include_str!("types.txt");

/// One type.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fields: Vec<Field>,
}

/// A field of a type.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) wire: &'static str,
    pub(super) kind: &'static str,
    pub(super) embedded: bool,
}

impl Shape {
    /// The type of that name; one that the list has not has no fields.
    pub(super) fn named(name: &str) -> Arc<Self> {
        let mut words = TYPES.lines().map(|line| line.split(' '));
        let words = words.find_map(|mut words| (words.clone().next() == Some(name)).then(|| (words.next(), words)));
        let (name, fields) = words.map_or(("", Vec::new()), |(name, fields)| {
            (name.unwrap_or_default(), fields.map(Field::read).collect::<Vec<_>>())
        });
        Arc::new(Self { name, fields })
    }
}

impl Field {
    fn read(word: &'static str) -> Self {
        if let Some(kind) = word.strip_prefix('@') {
            let name = kind.rsplit(['.', '*']).next().unwrap_or(kind);
            return Self { name, wire: "", kind, embedded: true };
        }
        let (names, kind) = word.split_once(':').unwrap_or((word, ""));
        let (name, wire) = names.split_once('=').unwrap_or((names, names));
        Self { name, wire, kind, embedded: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_names_is_there() {
        for name in TYPES.lines().map(|line| line.split(' ').next().unwrap_or_default()) {
            for field in &Shape::named(name).fields {
                let of = field.kind.trim_start_matches(['?', '[', '{', '<', '*']);
                let plain = matches!(of, "" | "b" | "i" | "d" | "t" | "x");
                assert!(plain || Shape::named(of).name == of, "{name}.{}: {of}", field.name);
            }
        }
    }

    #[test]
    fn fields_have_two_names_and_a_kind() {
        let shape = Shape::named("container.HostConfig");
        let field = |name: &str| shape.fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((field("DNS").wire, field("DNS").kind), ("Dns", "["));
        assert_eq!((field("Resources").kind, field("Resources").embedded), ("container.Resources", true));
        assert!(Shape::named("nobody.Knows").fields.is_empty());
    }
}
