//! Which images may be used here: rules by name, pinned digests, signatures.
//!
//! The first rule that matches a name decides. Rules are about names, as the person or the archive says them, and are
//! asked in pull, run, load and push; a signature is verified when an image is pulled, kept with it, and verified again
//! when it is run, without asking anybody.

mod key;
mod signature;

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::{Digest, Reference};
use dhow_store::ImageRecord;

use crate::glob;
use crate::images::Images;
use crate::name::Names;

pub use key::PublicKey;
pub(crate) use signature::{Signatures, verify};

/// The rules. The default has none, and allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Where the rules are written, for messages.
    pub source: String,
    /// In the order in which they are asked.
    pub rules: Vec<PolicyRule>,
    /// What no rule matches may not be used.
    pub block_others: bool,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyRule {
    /// What messages call it.
    pub name: String,
    /// A registry, or the beginning of a name behind its registry, as in `docker.io/library`; `*` stands for anything
    /// within a part.
    pub pattern: String,
    /// What it matches may not be used.
    pub block: bool,
    /// Images must be named by digest.
    pub by_digest: bool,
    /// Images must be signed with one of these; none: they need not be signed.
    pub signed_by: Vec<PublicKey>,
}

impl PolicyRule {
    fn matches(&self, name: &Reference) -> bool {
        let full = name.name();
        let mut parts = full.split('/');
        self.pattern.split('/').all(|wanted| parts.next().is_some_and(|part| glob::matches(wanted, part) == Some(true)))
    }
}

impl Policy {
    fn rule(&self, name: &Reference) -> Option<&PolicyRule> {
        self.rules.iter().find(|rule| rule.matches(name))
    }

    /// That an image of that name may be used at all.
    ///
    /// # Errors
    /// [`PermissionDenied`](Class::PermissionDenied), with the name of the rule.
    pub fn allow(&self, name: &Reference) -> Result<()> {
        match self.rule(name) {
            Some(rule) if rule.block => Err(self.refusal(name, rule, "blocks it")),
            None if self.block_others => {
                Err(denied(format!("{} may not be used: no rule of {} allows it", name.familiar(), self.source)))
            }
            _ => Ok(()),
        }
    }

    /// That an image of that name may be pulled or run, as far as its name decides.
    pub(crate) fn allow_use(&self, name: &Reference) -> Result<()> {
        self.allow(name)?;
        match self.rule(name) {
            Some(rule) if rule.by_digest && name.digest().is_none() => {
                Err(self.refusal(name, rule, "wants it named by digest (NAME@sha256:...)"))
            }
            _ => Ok(()),
        }
    }

    /// The rule that wants images of that name signed, if one does.
    pub(crate) fn signed(&self, name: &Reference) -> Option<&PolicyRule> {
        self.rule(name).filter(|rule| !rule.signed_by.is_empty())
    }

    pub(crate) fn refusal(&self, name: &Reference, rule: &PolicyRule, why: &str) -> Error {
        denied(format!("{} may not be used: the rule {:?} of {} {why}", name.familiar(), rule.name, self.source))
    }
}

fn denied(text: String) -> Error {
    Error::new(Class::PermissionDenied, text)
}

impl Images {
    /// That a container may be made of an image, found by that text: under the name that was said, or for an ID under one
    /// of the names it has.
    ///
    /// # Errors
    /// [`PermissionDenied`](Class::PermissionDenied), with the name of the rule.
    pub fn allow_run(&self, text: &str, image: &ImageRecord) -> Result<()> {
        let policy = self.policy();
        if policy.rules.is_empty() && !policy.block_others {
            return Ok(());
        }
        if let (_, Some(name)) = self.resolve_with_name(text)? {
            return self.allow_under(&name, image);
        }
        let names = Names::new(&self.store().metadata().tags_of(&image.id)?);
        // An ID is as good as a digest.
        let pinned = names.all().into_iter().map(|name| name.with_digest(image.manifest.unwrap_or(image.id)));
        let mut refusal = None;
        for name in pinned {
            match self.allow_under(&name, image) {
                Ok(()) => return Ok(()),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            None if policy.block_others => {
                Err(denied(format!("an image without a name may not be used: no rule of {} allows it", policy.source)))
            }
            refusal => refusal.map_or(Ok(()), Err),
        }
    }

    /// That an image may be pulled, as far as its name decides.
    ///
    /// # Errors
    /// [`PermissionDenied`](Class::PermissionDenied), with the name of the rule.
    pub fn allow_pull(&self, name: &Reference) -> Result<()> {
        self.policy().allow_use(name)
    }

    fn allow_under(&self, name: &Reference, image: &ImageRecord) -> Result<()> {
        let policy = self.policy();
        policy.allow_use(name)?;
        match policy.signed(name) {
            Some(rule) => self.signed_here(image, rule).map_err(|why| policy.refusal(name, rule, &wants(&why))),
            None => Ok(()),
        }
    }

    /// That a signature which is kept with the image is one that the rule asks for.
    pub(crate) fn signed_here(&self, image: &ImageRecord, rule: &PolicyRule) -> Result<()> {
        let subjects: Vec<Digest> = image.manifest.iter().chain(&image.blobs).copied().collect();
        let read = |digest: &Digest| self.store().content().read(digest).ok();
        let kept = image.blobs.iter().filter_map(read).filter_map(|bytes| Signatures::parse(&bytes));
        let mut last = Error::not_found("it has none");
        for signatures in kept {
            for (payload, signature) in signatures.entries() {
                let Some(payload) = read(&payload.digest) else { continue };
                match verify(&payload, signature, &subjects, &rule.signed_by) {
                    Ok(()) => return Ok(()),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }
}

/// The end of a message about a signature.
pub(crate) fn wants(why: &Error) -> String {
    format!("wants a signature of it: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, pattern: &str) -> PolicyRule {
        PolicyRule { name: name.into(), pattern: pattern.into(), ..PolicyRule::default() }
    }

    fn name(text: &str) -> Reference {
        Reference::parse(text).unwrap().with_default_tag()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = Policy {
            source: "rules.toml".into(),
            rules: vec![
                rule("official", "docker.io/library"),
                PolicyRule { block: true, ..rule("no hub", "docker.io") },
                PolicyRule { by_digest: true, ..rule("pinned", "*.example/team") },
            ],
            block_others: true,
        };
        let said = |text: &str| policy.allow_use(&name(text)).map_err(|error| error.to_string());
        assert_eq!(said("busybox"), Ok(()));
        assert_eq!(
            said("me/app").unwrap_err(),
            "me/app:latest may not be used: the rule \"no hub\" of rules.toml blocks it"
        );
        assert!(
            said("reg.example/team/app:1").unwrap_err().contains("\"pinned\" of rules.toml wants it named by digest")
        );
        assert_eq!(said(&format!("reg.example/team/app@{}", Digest::of(b""))), Ok(()));
        assert!(said("reg.example/other/app").unwrap_err().contains("no rule of rules.toml allows it"));
        assert!(Policy::default().allow_use(&name("any/thing")).is_ok());
    }

    #[test]
    fn patterns_match_whole_parts() {
        assert!(rule("", "docker.io/lib*").matches(&name("busybox")));
        assert!(!rule("", "docker.io/lib").matches(&name("busybox")));
        assert!(!rule("", "docker.io/library/busybox/more").matches(&name("busybox")));
        assert!(rule("", "localhost:5000").matches(&name("localhost:5000/a/b")));
    }
}
