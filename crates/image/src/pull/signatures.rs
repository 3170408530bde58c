//! Signatures that a rule asks for: fetched and verified before anything of the image.

use dhow_errdefs::{Error, Result};
use dhow_oci::Digest;

use super::Pull;
use crate::policy::{self, Signatures, verify};

impl Pull<'_> {
    /// The documents of the signatures of a manifest, kept to be verified again without the registry; none where no rule
    /// asks for them.
    pub(super) fn signatures(&self, digest: &Digest) -> Result<Vec<Digest>> {
        let (rules, name) = (self.images.policy(), self.repository.name());
        let Some(rule) = rules.signed(name) else { return Ok(Vec::new()) };
        let refused = |why: &Error| rules.refusal(name, rule, &policy::wants(why));
        let found = self.repository.manifest(&Signatures::tag(digest), None).map_err(|why| refused(&why))?;
        let none = || Error::not_found("it has none");
        let signatures = Signatures::parse(&found.bytes).ok_or_else(|| refused(&none()))?;
        let mut last = none();
        for (descriptor, signature) in signatures.entries() {
            let statement = self.repository.document(&descriptor.digest)?;
            if Digest::of(&statement) != descriptor.digest {
                last = Error::data_loss("what was signed is not what the registry sent");
                continue;
            }
            match verify(&statement, signature, &[*digest], &rule.signed_by) {
                Ok(()) => {
                    let content = self.images.store().content();
                    return Ok(vec![content.put(self.lease, &found.bytes)?, content.put(self.lease, &statement)?]);
                }
                Err(error) => last = error,
            }
        }
        Err(refused(&last))
    }
}
