//! `images`.

use dhow_api::image::Summary;
use dhow_client::ImageListing;

use super::image_tree;
use super::ps::{FILTER, FORMAT, filters};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, decimal, decimal_3, local, short_id, show, show_names, since_then};
use crate::output;
use crate::session::Session;

pub(super) static IMAGES: Command = Command {
    names: &["image ls", "image list", "images"],
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    summary: "List images",
    flags: &[&[
        Flag::bool("all", "Show intermediate images too").short(b'a'),
        Flag::bool("digests", "Show digests"),
        FILTER,
        FORMAT,
        Flag::bool("no-trunc", "Cut nothing off"),
        Flag::bool("quiet", "Only show IDs").short(b'q'),
        Flag::bool("tree", "Show the platforms of each image below it").since(47),
    ]],
    arguments: Arguments::AtMost(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let mut filters = filters(flags);
    if let Some(name) = flags.args.first().filter(|name| !name.is_empty()) {
        filters.entry("reference".to_owned()).or_default().push(name.clone());
    }
    let (digests, tree) = (flags.on("digests"), flags.on("tree"));
    if tree {
        image_tree::check(flags)?;
    }
    let listing = ImageListing { all: flags.on("all"), digests, filters, manifests: tree };
    let images = session.client().await?.image_list(&listing).await?;
    if tree {
        output::text(&image_tree::tree(&images)?)?;
        return Ok(0);
    }
    let rows: Vec<Image> = images.iter().flat_map(|image| rows(image, digests, flags.on("no-trunc"))).collect();
    if flags.on("quiet") {
        output::text(&show_names(&rows, flags.some("format"), "ID")?)?;
        return Ok(0);
    }
    let asked = flags.some("format").or_else(|| session.config().images_format()).unwrap_or("table");
    let columns: &[&str] = match digests {
        true => &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
        false => &["Repository", "Tag", "ID", "CreatedSince", "Size"],
    };
    output::text(&show(&rows, &Format::new(asked, columns))?)?;
    Ok(0)
}

const NONE: &str = "<none>";

/// One name of an image.
pub(super) struct Image<'a> {
    summary: &'a Summary,
    repository: String,
    tag: String,
    digest: String,
    full: bool,
}

impl Image<'_> {
    pub(super) fn without_digest(mut self) -> Self {
        self.digest.clear();
        self
    }
}

/// The rows of an image: one per tag; with digests, one per tag and digest; one without names for an image that has none.
pub(super) fn rows(summary: &Summary, digests: bool, full: bool) -> Vec<Image<'_>> {
    let row = |repository: &str, tag: &str, digest: &str| Image {
        summary,
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
        full,
    };
    let tags = summary.repo_tags.iter().filter_map(|name| name.rsplit_once(':')).filter(|(name, _)| *name != NONE);
    let tags: Vec<(&str, &str)> = tags.collect();
    let by_digest = summary.repo_digests.iter().filter_map(|name| name.split_once('@'));
    let by_digest: Vec<(&str, &str)> = by_digest.filter(|(name, _)| *name != NONE).collect();
    let mut rows = Vec::new();
    for (repository, tag) in &tags {
        let of_repository = by_digest.iter().filter(|(name, _)| digests && name == repository);
        let before = rows.len();
        rows.extend(of_repository.map(|(_, digest)| row(repository, tag, digest)));
        if rows.len() == before {
            rows.push(row(repository, tag, NONE));
        }
    }
    for (repository, digest) in &by_digest {
        if !tags.iter().any(|(name, _)| name == repository) {
            rows.push(row(repository, NONE, digest));
        }
    }
    if rows.is_empty() {
        rows.push(row(NONE, NONE, NONE));
    }
    rows
}

/// A count of bytes, where -1 is not known.
#[allow(clippy::cast_precision_loss, reason = "three or four digits are shown")]
pub(super) fn size_or_unknown(bytes: i64) -> String {
    if bytes == -1 { "N/A".into() } else { decimal(bytes as f64) }
}

impl Row for Image<'_> {
    const KIND: &'static str = "*formatter.imageContext";
    const RAW: Option<&'static str> = Some(
        "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n",
    );
    const COLUMNS: &'static [Column] = &[
        Column { name: "ID", header: "IMAGE ID" },
        Column { name: "Repository", header: "REPOSITORY" },
        Column { name: "Tag", header: "TAG" },
        Column { name: "Digest", header: "DIGEST" },
        Column { name: "CreatedSince", header: "CREATED" },
        Column { name: "CreatedAt", header: "CREATED AT" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Containers", header: "CONTAINERS" },
        Column { name: "VirtualSize", header: "SIZE" },
        Column { name: "SharedSize", header: "SHARED SIZE" },
        Column { name: "UniqueSize", header: "UNIQUE SIZE" },
    ];

    #[allow(clippy::cast_precision_loss, reason = "three or four digits are shown")]
    fn field(&self, name: &str) -> String {
        let summary = self.summary;
        match name {
            "ID" if self.full => summary.id.clone(),
            "ID" => short_id(&summary.id).to_owned(),
            "Repository" => self.repository.clone(),
            "Tag" => self.tag.clone(),
            "Digest" => self.digest.clone(),
            "CreatedSince" => since_then(summary.created),
            "CreatedAt" => local(summary.created),
            "Size" => decimal_3(summary.size as f64),
            "Containers" if summary.containers == -1 => "N/A".into(),
            "Containers" => summary.containers.to_string(),
            "VirtualSize" => decimal(summary.size as f64),
            "SharedSize" => size_or_unknown(summary.shared_size),
            "UniqueSize" if summary.shared_size == -1 => "N/A".into(),
            "UniqueSize" => decimal((summary.size - summary.shared_size) as f64),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tags: &[&str], by_digest: &[&str], digests: bool) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let summary = Summary { repo_tags: owned(tags), repo_digests: owned(by_digest), ..Summary::default() };
        rows(&summary, digests, false)
            .iter()
            .map(|row| format!("{} {} {}", row.repository, row.tag, row.digest))
            .collect()
    }

    #[test]
    fn one_row_per_name() {
        assert_eq!(names(&["a:1", "reg:5000/b:2"], &[], false), ["a 1 <none>", "reg:5000/b 2 <none>"]);
        assert_eq!(names(&[], &[], false), ["<none> <none> <none>"]);
        assert_eq!(names(&["<none>:<none>"], &["<none>@<none>"], true), ["<none> <none> <none>"]);
        assert_eq!(names(&["a:1"], &["a@sha256:x"], true), ["a 1 sha256:x"]);
        assert_eq!(names(&[], &["a@sha256:x"], false), ["a <none> sha256:x"]);
    }
}
