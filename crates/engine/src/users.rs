//! Who a container's process runs as: `user[:group]` looked up in the container's own files.

use dhow_errdefs::{Error, Result};

use crate::launch::Identity;

/// The contents of /etc/passwd and /etc/group; empty where there is no such file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub passwd: Vec<u8>,
    pub group: Vec<u8>,
}

/// A line of passwd(5).
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of group(5).
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Accounts {
    /// The identity for `user[:group]` (empty: user 0), with the groups of `--group-add`.
    ///
    /// Numbers need not be in the files. A group that is given replaces all groups of the user.
    ///
    /// # Errors
    /// Docker's words for a name that is not there.
    pub(crate) fn resolve(&self, wanted: &str, more_groups: &[String]) -> Result<Identity> {
        let (user, group) = wanted.split_once(':').map_or((wanted, ""), |(user, group)| (user, group));
        let user = if user.is_empty() { "0" } else { user };
        let number = number(user)?;
        let found = self.users().find(|entry| entry.name == user || Some(entry.uid) == number);
        let mut identity = match (&found, number) {
            (Some(entry), _) => {
                Identity { uid: entry.uid, gid: entry.gid, home: entry.home.to_owned(), ..Identity::default() }
            }
            (None, Some(uid)) => Identity { uid, ..Identity::default() },
            (None, None) => {
                return Err(Error::invalid(format!("unable to find user {user}: no matching entries in passwd file")));
            }
        };
        if group.is_empty() {
            let member = |group: &Group<'_>| found.as_ref().is_some_and(|user| group.has(user.name));
            identity.groups = self.groups().filter(member).map(|group| group.gid).collect();
        } else {
            identity.gid = self.group(group)?;
        }
        for name in more_groups {
            identity.groups.push(self.group(name)?);
        }
        // The primary group is among the supplementary ones, so that nobody gains by leaving it (CVE-2022-36109).
        identity.groups.insert(0, identity.gid);
        let mut seen = Vec::new();
        identity.groups.retain(|gid| {
            !seen.contains(gid) && {
                seen.push(*gid);
                true
            }
        });
        Ok(identity)
    }

    fn group(&self, wanted: &str) -> Result<u32> {
        let number = number(wanted)?;
        self.groups()
            .find(|group| group.name == wanted || Some(group.gid) == number)
            .map(|group| group.gid)
            .or(number)
            .ok_or_else(|| Error::invalid(format!("unable to find group {wanted}: no matching entries in group file")))
    }

    fn users(&self) -> impl Iterator<Item = User<'_>> {
        lines(&self.passwd).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(User { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        lines(&self.group).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some(Group { name, gid, members: fields.next().unwrap_or_default() })
        })
    }
}

/// An id, if it is a number and no name.
fn number(wanted: &str) -> Result<Option<u32>> {
    let digits = wanted.strip_prefix('-').unwrap_or(wanted);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let id = wanted.parse::<u32>().ok().filter(|&id| i32::try_from(id).is_ok());
    // The words, and the highest one, are of Docker's libraries (moby/sys/user).
    id.map(Some).ok_or_else(|| Error::invalid("uids and gids must be in range 0-2147483647"))
}

impl Group<'_> {
    fn has(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member == user)
    }
}

/// Lines that are text; others cannot name anybody.
fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: b"root:x:0:0:root:/root:/bin/sh\n\nbroken\nann:x:1000:100::/home/ann:/bin/sh\n7:x:70:71::/seven:\n"
                .to_vec(),
            group: b"root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\naudio:x:29:ann\n".to_vec(),
        }
    }

    fn identity(user: &str, more: &[&str]) -> Identity {
        accounts().resolve(user, &more.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn nobody_given_is_root_with_roots_groups() {
        assert_eq!(identity("", &[]), Identity { uid: 0, gid: 0, groups: vec![0, 10], home: "/root".into() });
    }

    #[test]
    fn a_name_brings_its_groups_and_a_given_group_replaces_them() {
        assert_eq!(
            identity("ann", &[]),
            Identity { uid: 1000, gid: 100, groups: vec![100, 10, 29], home: "/home/ann".into() }
        );
        assert_eq!(identity("1000", &[]), identity("ann", &[]));
        assert_eq!(identity("ann:wheel", &["audio", "5"]).groups, [10, 29, 5]);
    }

    #[test]
    fn numbers_need_no_entry_but_names_do() {
        assert_eq!(identity("4711:815", &[]), Identity { uid: 4711, gid: 815, groups: vec![815], home: String::new() });
        assert_eq!(identity("4711", &[]).gid, 0);
        let none = accounts().resolve("eve", &[]).unwrap_err();
        assert_eq!(none.to_string(), "unable to find user eve: no matching entries in passwd file");
        let none = accounts().resolve("ann:eve", &[]).unwrap_err();
        assert_eq!(none.to_string(), "unable to find group eve: no matching entries in group file");
    }

    #[test]
    fn a_name_of_digits_is_a_name_first() {
        assert_eq!(identity("7", &[]).uid, 70);
    }
}
