//! Docker's Go types, as far as templates see them: names and order of fields, and what a field is when nobody says it.
//!
//! `types.txt` has a type per line: its name, then its fields as `Name=wire:kind`. The wire's name is left out where it is
//! the same; `@kind` is an embedded type, whose fields stand in the same JSON object. Kinds: nothing for text, `b` a bool,
//! `i` a number, `d` a duration, `t` a time, `x` anything, `?k` a pointer to a plain value, `[k` a list, `{k` a map, `<k`
//! a map whose keys are no plain strings, `*name` a pointer to a type, and a type's name. Behind `~` stands what Go calls the
//! field's type where the kind does not say it; blanks in it are written as `_`.

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
    pub(super) kind: Kind,
    pub(super) embedded: bool,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// As `types.txt` has it.
    pub(super) code: &'static str,
    /// What Go calls it, where that is not the usual type of the kind.
    named: Option<&'static str>,
}

impl Kind {
    pub(super) const fn new(code: &'static str) -> Self {
        Self { code, named: None }
    }

    /// The kind of what is in a list, in a map or behind a pointer.
    pub(super) fn inner(self) -> Self {
        let code = self.code.get(1..).unwrap_or_default();
        // `[2]uint`: the type of the list says what is in it.
        let named = self.named.filter(|_| code == "i").and_then(|name| name.strip_prefix('[')?.split_once(']'));
        Self { code, named: named.map(|(_, name)| name) }
    }

    /// What Go calls it.
    pub(super) fn name(self) -> String {
        if let Some(name) = self.named {
            return name.replace('_', " ");
        }
        let inner = || self.inner().name();
        match (self.code, self.code.as_bytes().first()) {
            ("", _) => "string".to_owned(),
            ("b", _) => "bool".to_owned(),
            ("i", _) => "int".to_owned(),
            ("d", _) => "time.Duration".to_owned(),
            ("t", _) => "time.Time".to_owned(),
            ("x", _) => "interface {}".to_owned(),
            ("n", _) => "json.Number".to_owned(),
            ("Empty", _) => "struct {}".to_owned(),
            (_, Some(b'?' | b'*')) => format!("*{}", inner()),
            (_, Some(b'[')) => format!("[]{}", inner()),
            (_, Some(b'{')) => format!("map[string]{}", inner()),
            (_, Some(b'<')) => format!("map[nat.Port]{}", inner()),
            (name, _) => name.to_owned(),
        }
    }
}

impl Shape {
    /// A field of it, or of a type that is embedded in it.
    pub(super) fn field(&self, name: &str) -> Option<Kind> {
        let own = self.fields.iter().find(|field| field.name == name).map(|field| field.kind);
        let embedded = self.fields.iter().filter(|field| field.embedded);
        own.or_else(|| {
            embedded
                .map(|field| Self::named(field.kind.code.trim_start_matches('*')))
                .find_map(|shape| shape.field(name))
        })
    }

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
            return Self { name, wire: "", kind: Kind::new(kind), embedded: true };
        }
        let (names, kind) = word.split_once(':').unwrap_or((word, ""));
        let (name, wire) = names.split_once('=').unwrap_or((names, names));
        let (code, named) = kind.split_once('~').map_or((kind, None), |(code, named)| (code, Some(named)));
        Self { name, wire, kind: Kind { code, named }, embedded: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_names_is_there() {
        for name in TYPES.lines().map(|line| line.split(' ').next().unwrap_or_default()) {
            for field in &Shape::named(name).fields {
                let of = field.kind.code.trim_start_matches(['?', '[', '{', '<', '*']);
                let plain = matches!(of, "" | "b" | "i" | "d" | "t" | "x");
                assert!(plain || Shape::named(of).name == of, "{name}.{}: {of}", field.name);
            }
        }
    }

    #[test]
    fn fields_have_two_names_and_a_kind() {
        let shape = Shape::named("container.HostConfig");
        let field = |name: &str| shape.fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((field("DNS").wire, field("DNS").kind.code), ("Dns", "["));
        assert_eq!((field("Resources").kind.code, field("Resources").embedded), ("container.Resources", true));
        let names = ["Binds", "NetworkMode", "Init", "PortBindings", "ConsoleSize"].map(|name| field(name).kind.name());
        assert_eq!(names, ["[]string", "container.NetworkMode", "*bool", "nat.PortMap", "[2]uint"]);
        assert_eq!(field("ConsoleSize").kind.inner().name(), "uint");
        assert!(Shape::named("nobody.Knows").fields.is_empty());
    }
}
