//! `system df`.

use std::collections::HashSet;

use dhow_api::container;
use dhow_api::image::Summary;
use dhow_api::system::DiskUsage;
use dhow_errdefs::Result;

use super::images::{Image, rows};
use super::ps::{Container, FORMAT};
use super::volume_ls::Volume;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Document, Format, Row, decimal, row_json, show};
use crate::output;
use crate::session::Session;

pub(super) static SYSTEM_DF: Command = Command {
    names: &["system df"],
    usage: "[OPTIONS]",
    summary: "Show what takes how much disk space",
    flags: &[&[FORMAT, Flag::bool("verbose", "Show each thing by itself").short(b'v')]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let usage = session.client().await?.disk_usage().await?;
    if flags.on("verbose") {
        let format = flags.text("format");
        output::text(&Details::of(usage, !matches!(format, "" | "table")).show(format)?)?;
        return Ok(0);
    }
    let rows = [images(&usage), containers(&usage), volumes(&usage), build_cache(&usage)];
    let columns = ["Type", "TotalCount", "Active", "Size", "Reclaimable"];
    output::text(&show(&rows, &Format::new(flags.text("format"), &columns))?)?;
    Ok(0)
}

/// One kind of things.
struct Kind {
    name: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
    /// Whether the share of the whole is shown.
    share: bool,
}

fn images(usage: &DiskUsage) -> Kind {
    let used: i64 = usage
        .images
        .iter()
        .filter(|image| image.containers != 0)
        .map(|image| image.size - image.shared_size.max(0))
        .sum();
    Kind {
        name: "Images",
        total: usage.images.len(),
        active: usage.images.iter().filter(|image| image.containers > 0).count(),
        size: usage.layers_size,
        reclaimable: (usage.layers_size - used).max(0),
        share: true,
    }
}

fn containers(usage: &DiskUsage) -> Kind {
    let active = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let size = usage.containers.iter().map(|container| container.size_rw).sum();
    let idle = usage.containers.iter().filter(|container| !active(&container.state));
    Kind {
        name: "Containers",
        total: usage.containers.len(),
        active: usage.containers.iter().filter(|container| active(&container.state)).count(),
        size,
        reclaimable: idle.map(|container| container.size_rw).sum(),
        share: size > 0,
    }
}

fn volumes(usage: &DiskUsage) -> Kind {
    let data = || usage.volumes.iter().filter_map(|volume| volume.usage_data.as_ref());
    let size = data().map(|data| data.size.max(0)).sum();
    Kind {
        name: "Local Volumes",
        total: usage.volumes.len(),
        active: data().filter(|data| data.ref_count > 0).count(),
        size,
        reclaimable: data().filter(|data| data.ref_count == 0).map(|data| data.size.max(0)).sum(),
        share: size > 0,
    }
}

fn build_cache(usage: &DiskUsage) -> Kind {
    let sum = |in_use: Option<bool>| {
        let items = usage.build_cache.iter().filter(|item| in_use.is_none_or(|in_use| item["InUse"] == in_use));
        items.filter(|item| item["Shared"] != true).filter_map(|item| item["Size"].as_i64()).sum()
    };
    Kind {
        name: "Build Cache",
        total: usage.build_cache.len(),
        active: usage.build_cache.iter().filter(|item| item["InUse"] == true).count(),
        size: sum(None),
        reclaimable: sum(Some(false)),
        share: false,
    }
}

impl Row for Kind {
    const KIND: &'static str = "*formatter.diskUsageImagesContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Type", header: "TYPE" },
        Column { name: "TotalCount", header: "TOTAL" },
        Column { name: "Active", header: "ACTIVE" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Reclaimable", header: "RECLAIMABLE" },
    ];

    #[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
    fn field(&self, name: &str) -> String {
        match name {
            "Type" => self.name.to_owned(),
            "TotalCount" => self.total.to_string(),
            "Active" => self.active.to_string(),
            "Size" => decimal(self.size as f64),
            "Reclaimable" if self.share && self.size > 0 => {
                format!("{} ({}%)", decimal(self.reclaimable as f64), self.reclaimable * 100 / self.size)
            }
            "Reclaimable" => decimal(self.reclaimable as f64),
            _ => String::new(),
        }
    }
}

/// Each thing by itself.
struct Details {
    images: Vec<Summary>,
    containers: Vec<Container>,
    volumes: Vec<dhow_api::volume::Volume>,
    build_cache_size: String,
    /// With whole IDs.
    full: bool,
}

impl Details {
    fn of(usage: DiskUsage, full: bool) -> Self {
        let build_cache_size = build_cache(&usage).field("Size");
        let mut seen = HashSet::new();
        let mut images = usage.images;
        images.retain(|image| seen.insert(image.id.clone()));
        let container = |summary| Container { summary: without_image(summary), full };
        let containers = usage.containers.into_iter().map(container).collect();
        Self { images, containers, volumes: usage.volumes, build_cache_size, full }
    }

    /// One row for each image, under the first of its names, and without its digest.
    fn images(&self) -> Vec<Image<'_>> {
        let first = |image| rows(image, false, self.full).into_iter().next();
        self.images.iter().filter_map(first).map(Image::without_digest).collect()
    }

    fn volumes(&self) -> Vec<Volume<'_>> {
        self.volumes.iter().map(Volume).collect()
    }

    fn show(&self, format: &str) -> Result<String> {
        match format {
            "" | "table" => self.tables(),
            "json" => Ok(self.json()),
            template => {
                let template = template.replace("\\t", "\t").replace("\\n", "\n");
                Document::new(self.json(), "*formatter.diskUsageContext").execute(&template)
            }
        }
    }

    fn json(&self) -> String {
        let list = |rows: Vec<String>| format!("[{}]", rows.join(","));
        let images = list(self.images().iter().map(row_json).collect());
        let containers = list(self.containers.iter().map(row_json).collect());
        let volumes = list(self.volumes().iter().map(row_json).collect());
        format!("{{\"Images\":{images},\"Containers\":{containers},\"Volumes\":{volumes},\"BuildCache\":[]}}")
    }

    fn tables(&self) -> Result<String> {
        let columns = ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"];
        let images = show(&self.images(), &Format::Columns(&columns))?;
        let columns = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"];
        let containers = show(&self.containers, &Format::Columns(&columns))?;
        let volumes = show(&self.volumes(), &Format::Columns(&["Name", "Links", "Size"]))?;
        let columns = ["ID", "Type", "Size", "Created", "LastUsed", "Usage", "Shared"];
        let builds = show::<Build>(&[], &Format::Columns(&columns))?;
        let cache = &self.build_cache_size;
        Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: {cache}\n\n{builds}"
        ))
    }
}

/// The image's size is the images' business.
fn without_image(summary: container::Summary) -> container::Summary {
    container::Summary { size_root_fs: 0, ..summary }
}

/// A record of the build cache. There are none before there is a builder; the heads of the table are there already.
enum Build {}

impl Row for Build {
    const KIND: &'static str = "*formatter.buildCacheContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "ID", header: "CACHE ID" },
        Column { name: "Type", header: "CACHE TYPE" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Created", header: "CREATED" },
        Column { name: "LastUsed", header: "LAST USED" },
        Column { name: "Usage", header: "USAGE" },
        Column { name: "Shared", header: "SHARED" },
    ];

    fn field(&self, _name: &str) -> String {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_divides_by_zero() {
        let empty = DiskUsage::default();
        assert_eq!(images(&empty).field("Reclaimable"), "0B");
        assert_eq!(containers(&empty).field("Reclaimable"), "0B");
        assert_eq!(volumes(&empty).field("Size"), "0B");
        assert_eq!(build_cache(&empty).field("Active"), "0");
    }
}
