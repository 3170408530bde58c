//! Names in archives: made safe before anything else looks at them.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};

/// A path below a layer's root: plain components, none of them `.` or `..`, joined by `/`; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(Vec<u8>);

/// What a name means (OCI image-spec, layer.md, "Whiteouts").
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A thing of that name.
    Thing(Name),
    /// `.wh.x`: `x` of the layers below is gone.
    Whiteout(Name),
    /// `.wh..wh..opq`: of the layers below, nothing in this folder is left.
    Opaque(Name),
    /// Any other `.wh..wh.…`: notes of the AUFS driver to itself.
    Ignored,
}

/// `PATH_MAX`: nothing could be called by a longer name.
const LONGEST: usize = 4096;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const NOTES: &[u8] = b".wh..wh.";

impl Name {
    /// The name in an archive: a leading slash means the layer's root, as for Docker and tar; `..` is refused.
    pub(super) fn parse(path: &[u8]) -> Result<Self> {
        if path.len() > LONGEST {
            return Err(refused(&path[..100], &format!("goes on for more than {LONGEST} bytes")));
        }
        let mut name = Vec::with_capacity(path.len());
        if path.contains(&0) {
            return Err(refused(path, "contains a NUL"));
        }
        for component in path.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(refused(path, "would climb out of the layer")),
                _ if !name.is_empty() => name.push(b'/'),
                _ => {}
            }
            name.extend_from_slice(component);
        }
        Ok(Self(name))
    }

    pub(super) fn meaning(self) -> Result<Meaning> {
        let (folder, last) = self.split();
        if folder.split(|byte| *byte == b'/').any(|component| component.starts_with(NOTES)) {
            return Ok(Meaning::Ignored);
        }
        match last.strip_prefix(WHITEOUT) {
            None => Ok(Meaning::Thing(self)),
            Some(_) if last == OPAQUE => Ok(Meaning::Opaque(Self(folder.to_vec()))),
            Some(_) if last.starts_with(NOTES) => Ok(Meaning::Ignored),
            Some(b"" | b"." | b"..") => Err(refused(&self.0, "is a whiteout of nothing")),
            Some(hidden) => {
                let mut name = folder.to_vec();
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend_from_slice(hidden);
                Ok(Meaning::Whiteout(Self(name)))
            }
        }
    }

    /// A component below this folder; it must be a plain one. (With an empty one: what sorts before all below it.)
    pub(super) fn join(&self, component: &[u8]) -> Self {
        let mut name = self.0.clone();
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(component);
        Self(name)
    }

    /// The folder and the last component; both empty for the root.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        }
    }

    /// The folder it is in.
    pub(super) fn parent(&self) -> Self {
        Self(self.split().0.to_vec())
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is below that folder.
    pub(super) fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(folder.as_bytes()).is_some_and(|rest| folder.is_root() || rest.first() == Some(&b'/'))
    }

    /// Takes everything below this folder out of a sorted map.
    pub(super) fn remove_below<T>(&self, map: &mut BTreeMap<Self, T>) {
        let start = self.join(b"");
        // One by one: an archive decides how often this is called, so it must not cost what the whole map would.
        let first = |map: &BTreeMap<Self, T>| map.range(&start..).next().map(|(name, _)| name.clone());
        while let Some(name) = first(map).filter(|name| name.is_below(self)) {
            map.remove(&name);
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_root() { f.write_str("/") } else { write!(f, "{}", self.0.escape_ascii()) }
    }
}

fn refused(path: &[u8], why: &str) -> Error {
    Error::invalid(format!("the archive has the name {:?}, which {why}", String::from_utf8_lossy(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_made_relative_and_plain() {
        for (written, plain) in
            [("/etc//passwd", "etc/passwd"), ("./", ""), ("a/./b/", "a/b"), ("///", ""), ("..a/b..", "..a/b..")]
        {
            assert_eq!(name(written).as_bytes(), plain.as_bytes());
        }
        assert!(Name::parse(&b"a/".repeat(500_000)).is_err(), "nothing may recurse that deep");
        for bad in [&b".."[..], b"../x", b"a/../b", b"/..", b"a/..", b"a\0b"] {
            assert!(Name::parse(bad).is_err());
        }
    }

    #[test]
    fn whiteouts_hide_only_what_has_a_name() {
        assert_eq!(name("a/.wh.b").meaning().unwrap(), Meaning::Whiteout(name("a/b")));
        assert_eq!(name("a/.wh..wh..opq").meaning().unwrap(), Meaning::Opaque(name("a")));
        assert_eq!(name(".wh..wh..opq").meaning().unwrap(), Meaning::Opaque(name("")));
        assert_eq!(name(".wh..wh.plnk/1.2").meaning().unwrap(), Meaning::Ignored);
        assert_eq!(name(".wh..wh.aufs").meaning().unwrap(), Meaning::Ignored);
        assert_eq!(name("a/.whb").meaning().unwrap(), Meaning::Thing(name("a/.whb")));
        for bad in ["a/.wh.", "a/.wh..", "a/.wh..."] {
            assert!(name(bad).meaning().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_below_a_folder_is_not_what_begins_with_its_name() {
        let names = ["a", "a-b", "a/x", "a/x/y", "a0", "b/a/x"];
        let mut map: BTreeMap<Name, ()> = names.iter().map(|text| (name(text), ())).collect();
        name("a").remove_below(&mut map);
        assert_eq!(map.into_keys().collect::<Vec<_>>(), ["a", "a-b", "a0", "b/a/x"].map(name));
    }

    proptest! {
        #[test]
        fn no_name_ever_climbs(path in prop::collection::vec(prop::sample::select(b"a./\0.wh".to_vec()), 0..40)) {
            if let Ok(name) = Name::parse(&path) {
                let plain = |name: &Name| {
                    name.is_root() || name.as_bytes().split(|b| *b == b'/').all(|c| !matches!(c, b"" | b"." | b".."))
                };
                prop_assert!(plain(&name));
                if let Ok(Meaning::Thing(name) | Meaning::Whiteout(name) | Meaning::Opaque(name)) = name.meaning() {
                    prop_assert!(plain(&name));
                }
            }
        }
    }
}
