//! `system check`.

use std::collections::BTreeSet;

use dhow_api::image::{CheckFault, CheckResponse};
use dhow_client::{Client, ImageListing};
use dhow_errdefs::Result;
use dhow_oci::Reference;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(super) static SYSTEM_CHECK: Command = Command {
    names: &["system check"],
    usage: "[OPTIONS]",
    summary: "Compare images with what is on the disk",
    flags: &[&[
        Flag::bool("deep", "Read every byte, and not only what is there and how long it is"),
        Flag::bool("repair", "Heal layers from their blobs, and blobs from their registries"),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// Ends with 1 where something stays damaged.
async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (client, repair) = (session.client().await?, flags.on("repair"));
    let logins = if repair { session.registry_config(registries(client).await?) } else { None };
    let found = client.system_check(flags.on("deep"), repair, logins).await?;
    output::text(&report(&found, flags.on("deep")))?;
    Ok(u8::from(found.faults.iter().any(|fault| fault.healed_from.is_empty())))
}

/// Of all images that are here.
async fn registries(client: &Client) -> Result<BTreeSet<String>> {
    let images = client.image_list(&ImageListing { all: true, ..ImageListing::default() }).await?;
    let names = images.iter().flat_map(|image| image.repo_tags.iter().chain(&image.repo_digests));
    Ok(names.filter_map(|name| Some(Reference::parse(name).ok()?.registry().to_owned())).collect())
}

fn report(found: &CheckResponse, deep: bool) -> String {
    let mut text: String = found.faults.iter().map(|fault| line(fault) + "\n").collect();
    let CheckResponse { images, layers, blobs, faults } = found;
    let how = if deep { "every byte" } else { "sizes and structure" };
    text += &format!("Checked {images} images, {layers} layers, {blobs} blobs: {how}\n");
    let healed = faults.iter().filter(|fault| !fault.healed_from.is_empty()).count();
    text += &match (faults.len(), healed) {
        (0, _) => "Nothing is damaged\n".to_owned(),
        (all, 0) => format!("{all} damaged\n"),
        (all, healed) => format!("{all} damaged, {healed} of them healed\n"),
    };
    text
}

fn line(fault: &CheckFault) -> String {
    let CheckFault { kind, digest, what, images, healed_from, error } = fault;
    let owners = if images.is_empty() { String::new() } else { format!(" ({})", images.join(", ")) };
    let came = match (healed_from.as_str(), error.as_str()) {
        ("", "") => String::new(),
        ("", error) => format!("; not healed: {error}"),
        (source, _) => format!("; healed from {source}"),
    };
    format!("{kind} {digest}{owners}: {what}{came}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_named_with_what_came_of_it() {
        let fault = |healed_from: &str, error: &str| CheckFault {
            kind: "blob".into(),
            digest: "sha256:a".into(),
            what: "is missing".into(),
            images: vec!["app:1".into()],
            healed_from: healed_from.into(),
            error: error.into(),
        };
        assert_eq!(line(&fault("", "")), "blob sha256:a (app:1): is missing");
        assert_eq!(line(&fault("reg", "")), "blob sha256:a (app:1): is missing; healed from reg");
        let both = CheckResponse { faults: vec![fault("reg", ""), fault("", "no")], ..CheckResponse::default() };
        assert!(report(&both, false).ends_with("2 damaged, 1 of them healed\n"));
        assert!(report(&CheckResponse::default(), true).ends_with("every byte\nNothing is damaged\n"));
    }
}
