//! From what a person typed to an image.

use dhow_errdefs::{Error, Result, message};
use dhow_oci::{Digest, Platform, Reference};
use dhow_store::ImageRecord;

use crate::images::Images;

impl Images {
    /// Finds an image by name, `name:tag`, `name@digest`, ID, or the beginning of an ID; a name wins over an ID.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) in Docker's words,
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) when it is neither name nor ID, or several IDs begin
    /// like that.
    pub fn resolve(&self, text: &str) -> Result<ImageRecord> {
        self.resolve_with_name(text).map(|(image, _)| image)
    }

    /// The same, and the name that it was found by; `None` where the text is an ID or the beginning of one.
    pub(crate) fn resolve_with_name(&self, text: &str) -> Result<(ImageRecord, Option<Reference>)> {
        let (id, name) = match id(text) {
            Some(id) => (Some(id), None),
            None => self.by_name_or_prefix(text)?,
        };
        let image = id.map(|id| self.store().metadata().image(&id)).transpose()?.flatten();
        let missing = || Error::not_found(message::no_such_image(&shown(text)));
        image.map(|image| (image, name)).ok_or_else(missing)
    }

    /// The same, if the image is for that platform.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); [`NotFound`](dhow_errdefs::Class::NotFound) when it is for another one.
    pub fn resolve_for(&self, text: &str, platform: Option<&Platform>) -> Result<ImageRecord> {
        let image = self.resolve(text)?;
        let own = self.config_or_empty(&image.id).platform();
        match platform {
            Some(wanted) if !own.serves(wanted) => Err(Error::not_found(format!(
                "image with reference {text} was found but its platform ({own}) does not match the specified platform \
                 ({wanted})"
            ))),
            _ => Ok(image),
        }
    }

    fn by_name_or_prefix(&self, text: &str) -> Result<(Option<Digest>, Option<Reference>)> {
        let reference = Reference::parse(text)?.with_default_tag();
        match self.named(&reference)? {
            Some(id) => Ok((Some(id), Some(reference))),
            None => self.with_prefix(text).map(|id| (id, None)),
        }
    }

    /// The image with exactly that name, or with that repository and manifest.
    pub(crate) fn named(&self, reference: &Reference) -> Result<Option<Digest>> {
        let metadata = self.store().metadata();
        let Some(digest) = reference.digest() else { return metadata.tag(&reference.canonical()) };
        let exact = metadata.tag(&reference.with_digest(*digest).canonical())?;
        if exact.is_some() {
            return Ok(exact);
        }
        let repository = |name: &str| Reference::parse(name).is_ok_and(|name| name.name() == reference.name());
        for tag in metadata.tags()?.into_iter().filter(|tag| repository(&tag.name)) {
            if metadata.image(&tag.image)?.is_some_and(|image| image.manifest == Some(*digest)) {
                return Ok(Some(tag.image));
            }
        }
        Ok(None)
    }

    fn with_prefix(&self, text: &str) -> Result<Option<Digest>> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        if prefix.is_empty()
            || prefix.len() > 64
            || !prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Ok(None);
        }
        match self.store().metadata().images_with_prefix(prefix)?.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            _ => Err(Error::invalid(message::ambiguous_prefix(text))),
        }
    }
}

/// A full ID, with or without its algorithm.
fn id(text: &str) -> Option<Digest> {
    text.parse().or_else(|_| Digest::from_hex(text)).ok()
}

/// What was looked for, as Docker repeats it.
fn shown(text: &str) -> String {
    match id(text) {
        Some(id) => id.to_string(),
        None => Reference::parse(text).map_or_else(|_| text.to_owned(), |name| name.with_default_tag().familiar()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        let digest = Digest::of(b"");
        assert_eq!(id(&digest.to_string()), Some(digest));
        assert_eq!(id(&digest.hex()), Some(digest));
        assert_eq!(id(&digest.hex()[..12]), None);
    }

    #[test]
    fn what_is_missing_is_named_as_docker_names_it() {
        assert_eq!(shown("docker.io/library/x"), "x:latest");
        assert_eq!(shown("abc:1"), "abc:1");
        assert_eq!(shown(&Digest::of(b"").hex()), Digest::of(b"").to_string());
    }
}
