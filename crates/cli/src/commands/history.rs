//! `history`.

use dhow_api::image::HistoryItem;

use super::ps::FORMAT;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::format::{Column, Format, Row, decimal_3, ellipsis, rfc3339, short_id, show, since_then};
use crate::output;
use crate::platform;
use crate::session::Session;

pub(super) static HISTORY: Command = Command {
    names: &["image history", "history"],
    usage: "[OPTIONS] IMAGE",
    summary: "Show how an image was made",
    flags: &[&[
        FORMAT,
        Flag::bool("human", "Sizes and times in words").short(b'H').default("true"),
        Flag::bool("no-trunc", "Cut nothing off"),
        Flag::text("platform", "Only if the image is for this platform").since(48),
        Flag::bool("quiet", "Only show IDs").short(b'q'),
    ]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let steps = session.client().await?.image_history(&flags.args[0], &platform::json(flags.text("platform"))?).await?;
    let (full, human) = (flags.on("no-trunc"), flags.on("human"));
    let rows: Vec<Step> = steps.into_iter().map(|item| Step { item, full, human }).collect();
    if flags.on("quiet") {
        let ids: String = rows.iter().map(|row| row.field("ID") + "\n").collect();
        output::text(&ids)?;
        return Ok(0);
    }
    let created = if human { "CreatedSince" } else { "CreatedAt" };
    let columns = ["ID", created, "CreatedBy", "Size", "Comment"];
    let asked = flags.some("format").unwrap_or("table");
    output::text(&show(&rows, &Format::new(asked, &columns))?)?;
    Ok(0)
}

struct Step {
    item: HistoryItem,
    full: bool,
    human: bool,
}

impl Row for Step {
    const KIND: &'static str = "*image.historyContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "ID", header: "IMAGE" },
        Column { name: "CreatedSince", header: "CREATED" },
        Column { name: "CreatedAt", header: "CREATED AT" },
        Column { name: "CreatedBy", header: "CREATED BY" },
        Column { name: "Size", header: "SIZE" },
        Column { name: "Comment", header: "COMMENT" },
    ];

    fn field(&self, name: &str) -> String {
        let item = &self.item;
        match name {
            "ID" if self.full => item.id.clone(),
            "ID" => short_id(&item.id).to_owned(),
            // Year 1: there is no time in it.
            "CreatedSince" if item.created <= -62_135_596_800 => "N/A".into(),
            "CreatedSince" if self.human => since_then(item.created),
            "CreatedSince" | "CreatedAt" => rfc3339(item.created),
            "CreatedBy" => {
                let command = item.created_by.replace('\t', " ");
                if self.full { command } else { ellipsis(&command, 45) }
            }
            #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
            "Size" if self.human => decimal_3(item.size as f64),
            "Size" => item.size.to_string(),
            "Comment" => item.comment.clone(),
            _ => String::new(),
        }
    }
}
