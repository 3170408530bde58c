//! The words of a mount's `options` (runtime-spec 1.2, "Linux mount options"; mount(8)). Pure.

use dhow_sys::mount::{self, Change};

/// What the options of one mount ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `bind` or `rbind`.
    pub(crate) bind: bool,
    /// `rbind`: what is mounted below the source comes along.
    pub(crate) recursive_bind: bool,
    /// `remount`: change a mount that is there.
    pub(crate) remount: bool,
    /// Attributes of the mount itself.
    pub(crate) change: Change,
    /// Attributes of the mount and of all below it (`rro` and its like).
    pub(crate) recursive: Change,
    /// Propagation, and whether it holds for all below.
    pub(crate) propagation: Option<(u64, bool)>,
    /// `tmpcopyup`: the image's files at the target are copied into the new tmpfs.
    pub(crate) copy_up: bool,
    /// `idmap` (false) or `ridmap` (true).
    pub(crate) id_map: Option<bool>,
    /// `x-dhow.subpath=PATH`: what is mounted is at that path below the source, and no link leads out of the source.
    pub(crate) subpath: Option<String>,
    /// What is left: parameters of the file system.
    pub(crate) data: Vec<String>,
}

impl Options {
    /// Reads the words from left to right; later ones win, as in mount(8).
    pub(crate) fn parse<S: AsRef<str>>(words: &[S]) -> Self {
        let mut options = Self::default();
        for word in words {
            options.word(word.as_ref());
        }
        options
    }

    fn word(&mut self, word: &str) {
        match word {
            "" | "defaults" | "loud" | "silent" | "norelatime" | "nostrictatime" => {}
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.recursive_bind) = (true, true),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.id_map = Some(false),
            "ridmap" => self.id_map = Some(true),
            _ => {
                if let Some(path) = word.strip_prefix("x-dhow.subpath=") {
                    self.subpath = Some(path.to_owned());
                } else if let Some(propagation) = propagation(word) {
                    self.propagation = Some(propagation);
                } else if let Some((set, clear)) = attribute(word) {
                    merge(&mut self.change, set, clear);
                } else if let Some((set, clear)) = word.strip_prefix('r').and_then(attribute) {
                    merge(&mut self.recursive, set, clear);
                } else {
                    self.data.push(word.to_owned());
                }
            }
        }
    }
}

/// Adds a word's effect; the later word wins over an earlier one on the same attribute.
fn merge(change: &mut Change, set: u64, clear: u64) {
    change.set = (change.set & !clear) | set;
    // The kernel wants an access-time value set and its whole field cleared in the same call.
    let field = if set & mount::ATIME_FIELD != 0 { 0 } else { set };
    change.clear = (change.clear & !field) | clear;
}

/// The attributes that a word sets and clears.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (mount::RDONLY, 0),
        "rw" => (0, mount::RDONLY),
        "nosuid" => (mount::NOSUID, 0),
        "suid" => (0, mount::NOSUID),
        "nodev" => (mount::NODEV, 0),
        "dev" => (0, mount::NODEV),
        "noexec" => (mount::NOEXEC, 0),
        "exec" => (0, mount::NOEXEC),
        "nodiratime" => (mount::NODIRATIME, 0),
        "diratime" => (0, mount::NODIRATIME),
        "nosymfollow" => (mount::NOSYMFOLLOW, 0),
        "symfollow" => (0, mount::NOSYMFOLLOW),
        "noatime" => (mount::NOATIME, mount::ATIME_FIELD),
        "strictatime" => (mount::STRICTATIME, mount::ATIME_FIELD),
        "relatime" | "atime" => (mount::RELATIME, mount::ATIME_FIELD),
        _ => return None,
    })
}

/// The propagation that a word names, and whether it is for the whole tree.
pub(crate) fn propagation(word: &str) -> Option<(u64, bool)> {
    Some(match word {
        "shared" => (mount::SHARED, false),
        "rshared" => (mount::SHARED, true),
        "slave" => (mount::SLAVE, false),
        "rslave" => (mount::SLAVE, true),
        "private" => (mount::PRIVATE, false),
        "rprivate" => (mount::PRIVATE, true),
        "unbindable" => (mount::UNBINDABLE, false),
        "runbindable" => (mount::UNBINDABLE, true),
        _ => return None,
    })
}

/// Every word that is not handed to the file system, for `features`.
pub(crate) const KNOWN: [&str; 48] = [
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "idmap",
    "loud",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "suid",
    "tmpcopyup",
    "unbindable",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_sorted_into_attributes_propagation_and_data() {
        let options = Options::parse(&["rbind", "ro", "nosuid", "rslave", "size=64k", "mode=755"]);
        assert!(options.bind && options.recursive_bind);
        assert_eq!(options.change.set, mount::RDONLY | mount::NOSUID);
        assert_eq!(options.propagation, Some((mount::SLAVE, true)));
        assert_eq!(options.data, ["size=64k", "mode=755"]);
    }

    #[test]
    fn the_later_word_wins() {
        let options = Options::parse(&["ro", "rw", "noexec", "exec", "nodev"]);
        assert_eq!(options.change.set, mount::NODEV);
        assert_eq!(options.change.clear, mount::RDONLY | mount::NOEXEC);
        let options = Options::parse(&["rw", "ro"]);
        assert_eq!((options.change.set, options.change.clear), (mount::RDONLY, 0));
    }

    #[test]
    fn an_access_time_clears_its_whole_field() {
        let options = Options::parse(&["noatime", "strictatime"]);
        assert_eq!((options.change.set, options.change.clear), (mount::STRICTATIME, mount::ATIME_FIELD));
    }

    #[test]
    fn recursive_words_are_kept_apart() {
        let options = Options::parse(&["bind", "rro", "rnosuid", "nodev"]);
        assert_eq!(options.recursive.set, mount::RDONLY | mount::NOSUID);
        assert_eq!(options.change.set, mount::NODEV);
    }

    #[test]
    fn every_known_word_is_taken() {
        for word in KNOWN {
            assert!(Options::parse(&[word]).data.is_empty(), "{word}");
        }
    }

    proptest! {
        /// Every word is either understood or handed on; none is lost, and no attribute is both set and cleared.
        #[test]
        fn words_are_understood_or_handed_on(words in prop::collection::vec("[a-z=0-9]{0,12}", 0..8)) {
            let options = Options::parse(&words);
            prop_assert!(options.data.iter().all(|word| words.contains(word)));
            for change in [options.change, options.recursive] {
                prop_assert_eq!(change.set & change.clear & !mount::ATIME_FIELD, 0);
            }
        }

        #[test]
        fn known_words_in_any_order_never_contradict(words in prop::collection::vec(prop::sample::select(&KNOWN[..]), 0..12)) {
            let options = Options::parse(&words);
            prop_assert!(options.data.is_empty());
            for change in [options.change, options.recursive] {
                prop_assert_eq!(change.set & change.clear & !mount::ATIME_FIELD, 0);
            }
        }
    }
}
