//! `images --tree`: images, and below each the platforms it is for.

use dhow_api::image::{ManifestSummary, Summary};
use dhow_errdefs::{Error, Result};

use crate::flags::Parsed;
use crate::format::{Column, Format, Row, decimal, short_id, show};

/// Flags that say how a flat list looks.
const FLAT: [&str; 4] = ["quiet", "no-trunc", "digests", "format"];

/// That nothing was asked which a tree cannot show.
pub(super) fn check(flags: &Parsed) -> Result<()> {
    match FLAT.iter().find(|flag| flags.has(flag)) {
        Some(flag) => Err(Error::invalid(format!("--{flag} is not yet supported with --tree"))),
        None => Ok(()),
    }
}

/// The tree as a table.
pub(super) fn tree(images: &[Summary]) -> Result<String> {
    let rows: Vec<Line> = images.iter().flat_map(lines).collect();
    show(&rows, &Format::new("table", &["Image", "ID", "DiskUsage", "ContentSize", "InUse"]))
}

/// One line of the tree.
struct Line {
    image: String,
    id: String,
    disk: String,
    content: String,
    used: bool,
}

#[allow(clippy::cast_precision_loss, reason = "three or four digits are shown")]
fn lines(summary: &Summary) -> Vec<Line> {
    let manifests: Vec<&ManifestSummary> =
        summary.manifests.iter().flatten().filter(|manifest| manifest.image_data.is_some()).collect();
    let content: i64 = manifests.iter().map(|manifest| manifest.size.content).sum();
    let names = if summary.repo_tags.is_empty() { "<untagged>".to_owned() } else { summary.repo_tags.join(", ") };
    let mut lines = vec![Line {
        image: names,
        id: short_id(&summary.id).to_owned(),
        disk: decimal((summary.size + content) as f64),
        content: decimal(content as f64),
        used: summary.containers > 0,
    }];
    for (at, manifest) in manifests.iter().enumerate() {
        let branch = if at + 1 == manifests.len() { "└─" } else { "├─" };
        let size = |bytes: i64| if manifest.available { decimal(bytes as f64) } else { "-".to_owned() };
        let platform = manifest.image_data.as_ref().map(|data| text(&data.platform)).unwrap_or_default();
        lines.push(Line {
            image: format!("{branch} {platform}"),
            id: short_id(&manifest.id).to_owned(),
            disk: size(manifest.size.total),
            content: size(manifest.size.content),
            used: false,
        });
    }
    lines
}

/// `os/architecture[/variant]`.
fn text(platform: &serde_json::Value) -> String {
    let field = |name: &str| platform.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    ["os", "architecture", "variant"].into_iter().filter_map(field).collect::<Vec<_>>().join("/")
}

impl Row for Line {
    const KIND: &'static str = "*formatter.treeContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Image", header: "IMAGE" },
        Column { name: "ID", header: "ID" },
        Column { name: "DiskUsage", header: "DISK USAGE" },
        Column { name: "ContentSize", header: "CONTENT SIZE" },
        Column { name: "InUse", header: "EXTRA" },
    ];

    fn field(&self, name: &str) -> String {
        match name {
            "Image" => self.image.clone(),
            "ID" => self.id.clone(),
            "DiskUsage" => self.disk.clone(),
            "ContentSize" => self.content.clone(),
            "InUse" if self.used => "U".to_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_stand_below_their_image() {
        let manifest = |available, architecture: &str| ManifestSummary {
            id: "sha256:0123456789abcdef".into(),
            available,
            image_data: Some(dhow_api::image::ManifestImage {
                platform: serde_json::json!({"os": "linux", "architecture": architecture}),
                ..Default::default()
            }),
            ..Default::default()
        };
        let summary = Summary {
            id: "sha256:fedcba9876543210".into(),
            repo_tags: vec!["app:1".into()],
            manifests: Some(vec![manifest(true, "amd64"), manifest(false, "arm64")]),
            ..Summary::default()
        };
        let text = tree(&[summary]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("app:1") && lines[1].contains("fedcba987654"), "{text}");
        assert!(lines[2].starts_with("├─ linux/amd64") && lines[2].contains("0B"), "{text}");
        assert!(lines[3].starts_with("└─ linux/arm64") && lines[3].contains('-'), "{text}");
    }
}
