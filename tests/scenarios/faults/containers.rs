//! Containers through the API, a thousand a minute: no process for each command.

use std::io;
use std::path::Path;

use dhow_testkit::{Answer, Door};

/// What to run, as the body of a create request.
pub(super) fn body(script: &str, more: &str) -> String {
    format!(r#"{{"Image":"busybox","Cmd":["sh","-c",{script:?}],{more}"HostConfig":{{"NetworkMode":"none"}}}}"#)
}

/// Creates; gives the id.
pub(super) fn create(door: &mut Door, name: &str, body: &str) -> io::Result<Result<String, Answer>> {
    let answer = door.ask("POST", &format!("/containers/create?name={name}"), body)?;
    let id = answer.body.split('"').nth(3).unwrap_or_default().to_owned();
    Ok(if answer.status == 201 { Ok(id) } else { Err(answer) })
}

/// A request without a body about a container.
pub(super) fn post(door: &mut Door, id: &str, what: &str) -> io::Result<u16> {
    Ok(door.ask("POST", &format!("/containers/{id}/{what}"), "")?.status)
}

/// Removes by force.
pub(super) fn remove(door: &mut Door, id: &str) -> io::Result<u16> {
    Ok(door.ask("DELETE", &format!("/containers/{id}?force=1&v=1"), "")?.status)
}

/// An exec, run to its end without streams.
pub(super) fn exec(door: &mut Door, id: &str) -> io::Result<()> {
    let made = door.ask("POST", &format!("/containers/{id}/exec"), r#"{"Cmd":["true"]}"#)?;
    if made.status == 201 {
        let exec = made.body.split('"').nth(3).unwrap_or_default().to_owned();
        door.ask("POST", &format!("/exec/{exec}/start"), r#"{"Detach":true}"#)?;
    }
    Ok(())
}

/// A connection to an engine that runs.
pub(super) fn door(socket: &Path) -> Door {
    Door::open(socket).expect("the engine runs")
}
