//! `events`.

use dhow_api::event::Event;
use dhow_errdefs::{Error, Result};

use super::ps::{FILTER, filters};
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::{Document, local_nanos, timestamp};
use crate::output;
use crate::session::Session;

pub(super) static EVENTS: Command = Command {
    names: &["system events", "events"],
    usage: "[OPTIONS]",
    summary: "Show what happens in the engine, as it happens",
    flags: &[&[
        FILTER,
        Flag::text("format", "How to print:\n'json':             JSON\n'TEMPLATE':         a Go template"),
        Flag::text("since", "Begin with what happened after this time"),
        Flag::text("until", "End with what happens before this time"),
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    check_template(flags.text("format"))?;
    let moment = |name: &str| timestamp(flags.text(name)).map_err(Error::invalid);
    let (since, until) = (moment("since")?, moment("until")?);
    let mut events = session.client().await?.events(&since, &until, &filters(flags)).await?;
    while let Some(event) = events.next::<Event>().await? {
        output::line(&show(&event, flags.text("format"))?)?;
    }
    Ok(0)
}

/// A template that is none is found out now, and not at the first event.
fn check_template(format: &str) -> Result<(), Failure> {
    show(&Event::default(), format).map(drop).map_err(|error| {
        let text = error.to_string();
        Failure::Text(format!("Error parsing format: {}", text.trim_start_matches("template parsing error: ")), 64)
    })
}

fn show(event: &Event, format: &str) -> Result<String> {
    let json = serde_json::to_string(event).map_err(|cause| Error::internal("encode an event").with_cause(cause))?;
    match format {
        "" => Ok(line(event)),
        "json" | "{{json .}}" => Ok(json),
        template => Document::new(json, "*events.Message").execute(template),
    }
}

fn line(event: &Event) -> String {
    let when =
        local_nanos(if event.time_nano == 0 { event.time.saturating_mul(1_000_000_000) } else { event.time_nano });
    let attributes: Vec<String> = event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let attributes = if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!("{when} {} {} {}{attributes}", event.kind, event.action, event.actor.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_templates() {
        let text = br#"{"status":"start","id":"ab","from":"busybox","Type":"container","Action":"start",
            "Actor":{"ID":"ab","Attributes":{"name":"c","image":"busybox"}},"scope":"local","time":1,"timeNano":1000000007}"#;
        let event: Event = dhow_api::json::from_slice(text).unwrap();
        let line = show(&event, "").unwrap();
        assert!(line.ends_with(" container start ab (image=busybox, name=c)"), "{line}");
        assert!(line.contains("01.000000007"), "{line}");
        assert_eq!(show(&event, "{{.Status}} {{.ID}} {{.Actor.ID}} {{.Time}}").unwrap(), "start ab ab 1");
        let attributes = "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}";
        assert_eq!(show(&event, attributes).unwrap(), "c <no value>");
        assert!(show(&event, "{{.Foo}}").is_err());
        assert!(show(&event, "json").unwrap().starts_with("{\"status\":\"start\",\"id\":\"ab\""));
    }
}
