//! The options of `--tmpfs`, checked before anything is made: the kernel says no more than that something is invalid.

use dhow_errdefs::{Error, Result};

/// Words without a value (mount(8), tmpfs(5)).
const WORDS: &[&str] = &[
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "noswap",
    "inode32",
    "inode64",
    "usrquota",
    "grpquota",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
    "tmpcopyup",
];

/// Refuses a word that nobody knows and a value that is none, in Docker's words.
pub(super) fn check(options: &str) -> Result<()> {
    options.split(',').filter(|option| !option.is_empty()).try_for_each(|option| {
        let known = match option.split_once('=') {
            None => WORDS.contains(&option),
            Some((name, value)) => is_value(name, value),
        };
        known.then_some(()).ok_or_else(|| Error::invalid(refusal(option)))
    })
}

fn is_value(name: &str, value: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().is_ok();
    match name {
        "size" | "nr_blocks" | "nr_inodes" => {
            number(value.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T', '%']).unwrap_or(value))
        }
        "mode" => u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
        "uid" | "gid" => value.parse::<u32>().is_ok(),
        "mpol" | "huge" => !value.is_empty(),
        _ => false,
    }
}

fn refusal(option: &str) -> String {
    match option.split_once('=') {
        Some((name, value)) if matches!(name, "size" | "nr_blocks" | "nr_inodes" | "mode" | "uid" | "gid") => {
            format!("invalid tmpfs option [{name:?} {value:?}]: no such {name}")
        }
        Some((name, value)) => format!("invalid tmpfs option [{name:?} {value:?}]"),
        None => format!("invalid tmpfs option [{option:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_tmpfs_are_checked_by_name_and_value() {
        for good in ["", "size=64m", "size=50%,mode=1777,uid=5,gid=6,noexec", "rw,huge=always,nr_inodes=0", "defaults"]
        {
            check(good).unwrap();
        }
        let refused = |options| check(options).unwrap_err().to_string();
        assert_eq!(refused("rw,foo"), "invalid tmpfs option [\"foo\"]");
        assert_eq!(refused("color=red"), "invalid tmpfs option [\"color\" \"red\"]");
        assert_eq!(refused("size=abc"), "invalid tmpfs option [\"size\" \"abc\"]: no such size");
        for bad in ["size=5mmm", "size=5m%", "mode=9", "mode=77777", "uid=-1", "size=", "size"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
