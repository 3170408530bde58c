//! `manifest annotate`.

use dhow_errdefs::{Error, ResultExt};
use dhow_oci::Platform;

use super::list::List;
use super::named_as;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::session::Session;

pub(in crate::commands) static ANNOTATE: Command = Command {
    names: &["manifest annotate"],
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    summary: "Say what platform a manifest of a list is for",
    flags: &[&[
        Flag::text("arch", "Processor"),
        Flag::text("os", "Operating system"),
        Flag::list("os-features", "What the operating system must be able to do"),
        Flag::text("os-version", "Version of the operating system"),
        Flag::text("variant", "Variant of the processor"),
    ]],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(std::future::ready(run(session, flags))),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let named = |what: &str, typed: &str| named_as(what, typed).context(|| "annotate");
    let (name, member) = (named("manifest list", &flags.args[0])?, named("manifest", &flags.args[1])?);
    let list = List::of(session.config(), &name);
    let missing =
        || Error::not_found(format!("manifest for image {} does not exist in {}", member.familiar(), name.familiar()));
    let mut entry = list.entry(&member)?.ok_or_else(missing)?;
    let platform = entry.descriptor.platform.get_or_insert_with(Platform::default);
    if let Some(os) = flags.some("os") {
        os.clone_into(&mut platform.os);
    }
    if let Some(architecture) = flags.some("arch") {
        architecture.clone_into(&mut platform.architecture);
    }
    if let Some(variant) = flags.some("variant") {
        platform.variant = Some(variant.to_owned());
    }
    if let Some(version) = flags.some("os-version") {
        platform.os_version = Some(version.to_owned());
    }
    for feature in flags.list("os-features").flat_map(|features| features.split(',')) {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    list.put(&entry)?;
    Ok(0)
}
