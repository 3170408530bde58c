//! Creating a container: the part that `run` and `create` share.

use std::fs::File;
use std::io::Write;

use dhow_client::Client;
use dhow_errdefs::{Class, Error, Result};
use dhow_oci::Reference;

use crate::flags::Parsed;
use crate::options::{Wanted, open_failed, wanted};
use crate::output;
use crate::session::Session;

use super::pull::pull_first;

/// Reads the flags and adds what the configuration and the terminal say.
pub(super) fn prepare(session: &Session, flags: &Parsed) -> Result<Wanted> {
    let mut wanted = wanted(flags)?;
    if !matches!(flags.text("pull"), "always" | "missing" | "never" | "") {
        return Err(Error::invalid(format!(
            "invalid pull option: '{}': must be one of \"always\", \"missing\" or \"never\"",
            flags.text("pull")
        )));
    }
    let variables = wanted.request.config.env.get_or_insert_default();
    for (name, value) in session.proxy_variables() {
        let set = |line: &String| line.split('=').next() == Some(&name);
        if !variables.iter().any(set) {
            variables.push(format!("{name}={value}"));
        }
    }
    let (rows, columns) = crate::terminal::size();
    wanted.request.host_config.console_size = [rows.into(), columns.into()];
    Ok(wanted)
}

/// Reads which image is wanted.
pub(super) fn choose_image(flags: &Parsed, wanted: &mut Wanted) -> Result<()> {
    if let Some(typed) = flags.some("platform") {
        let wrong = |why| Error::invalid(format!("error parsing specified platform: {why}"));
        wanted.platform = crate::platform::parse(typed).map_err(wrong)?.to_string();
    }
    if !is_id(&flags.args[0]) {
        Reference::parse(&flags.args[0])?;
    }
    Ok(())
}

/// A full image ID, which is no name and cannot be pulled.
pub(super) fn is_id(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether it is the image that is not there, or is for another platform, and not a container whose namespace is wanted.
fn is_missing_image(error: &Error) -> bool {
    let text = error.to_string();
    error.class() == Class::NotFound && (text.contains("No such image") || text.contains("image with reference "))
}

/// Creates the container, after pulling its image where that is wanted; prints warnings, writes the ID file.
pub(super) async fn create(session: &Session, client: &Client, flags: &Parsed, wanted: &Wanted) -> Result<String> {
    let mut id_file = flags.some("cidfile").map(IdFile::create).transpose()?;
    let image = &wanted.request.config.image;
    if flags.text("pull") == "always" {
        pull_first(session, client, image, &wanted.platform, flags.on("quiet")).await?;
    }
    let created = match client.container_create(&wanted.name, &wanted.platform, &wanted.request).await {
        Err(error) if is_missing_image(&error) && flags.text("pull") == "missing" && !is_id(image) => {
            if !flags.on("quiet") {
                let name = Reference::parse(image)?.with_default_tag().familiar();
                output::note(&format!("Unable to find image '{name}' locally"));
            }
            pull_first(session, client, image, &wanted.platform, flags.on("quiet")).await?;
            client.container_create(&wanted.name, &wanted.platform, &wanted.request).await?
        }
        other => other?,
    };
    for warning in &created.warnings {
        output::note(&format!("WARNING: {warning}"));
    }
    if let Some(file) = &mut id_file {
        file.write(&created.id)?;
    }
    Ok(created.id)
}

/// The file of `--cidfile`: made before the container, taken away again if there never is one.
struct IdFile {
    path: String,
    file: File,
    written: bool,
}

impl IdFile {
    fn create(path: &str) -> Result<Self> {
        match File::create_new(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file, written: false }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::already_exists(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            ))),
            Err(error) => Err(Error::new(error.kind().into(), "failed to create the container ID file")
                .with_cause(open_failed(path, &error))),
        }
    }

    fn write(&mut self, id: &str) -> Result<()> {
        self.written = true;
        self.file
            .write_all(id.as_bytes())
            .map_err(|cause| Error::internal("failed to write the container ID to the file").with_cause(cause))
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_file_stays_only_if_there_is_a_container() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id").display().to_string();
        drop(IdFile::create(&path).unwrap());
        let mut file = IdFile::create(&path).unwrap();
        file.write("abc").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abc");
        let error = IdFile::create(&path).err().unwrap();
        assert!(error.to_string().starts_with("container ID file found"));
    }

    #[test]
    fn whole_ids_are_no_names() {
        assert!(is_id(&"a".repeat(64)) && is_id(&format!("sha256:{}", "0".repeat(64))));
        assert!(!is_id("busybox") && !is_id("abcdef012345"));
    }
}
