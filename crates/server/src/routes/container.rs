//! Containers, without their streams.

use dhow_api::container::{
    CreateRequest, CreateResponse, PruneResponse, PublishRequest, TopResponse, UpdateRequest, UpdateResponse,
    WaitError, WaitResponse,
};
use dhow_engine::spec::Resources;
use dhow_engine::{EventKind, ListOptions, PublishChange, RemoveOptions, WaitCondition, WaitHandle};
use dhow_errdefs::{Class, Error, Result, ResultExt, message};
use hyper::StatusCode;

use super::image_archive::platform;
use super::route;
use crate::http::{Body, Call, Response, Route, json, json_list, json_stream, no_content, not_the_json, plain_json};
use crate::wire::{self, container_spec, container_view, host_spec, main_network};

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/containers/create" => create),
    route!(POST "/containers/{id..}/start" => start),
    route!(POST "/containers/{id..}/wait" => wait),
    route!(GET "/containers/json" => list),
    route!(GET "/containers/{id..}/json" => inspect),
    route!(DELETE "/containers/{id..}" => remove),
    route!(POST "/containers/{id..}/stop" => stop),
    route!(POST "/containers/{id..}/kill" => kill),
    route!(POST "/containers/{id..}/restart" => restart),
    route!(POST "/containers/{id..}/pause" => pause),
    route!(POST "/containers/{id..}/unpause" => unpause),
    route!(POST "/containers/{id..}/rename" => rename),
    route!(POST "/containers/{id..}/update" => update),
    route!(POST "/containers/{id..}/publish" => publish),
    route!(GET "/containers/{id..}/top" => top),
    route!(POST "/containers/prune" => prune),
];

async fn create(mut call: Call) -> Result<Response> {
    let text = call.json_text().await?;
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    let mut request = CreateRequest::from_slice(&text).map_err(|cause| not_the_json(&text, cause))?;
    if request == CreateRequest::default() {
        return Err(Error::invalid("config cannot be empty in order to create a container"));
    }
    if !call.version.at_least(40) && request.host_config.ipc_mode.is_empty() {
        // So it was when nobody could say otherwise.
        request.host_config.ipc_mode = "shareable".to_owned();
    }
    let warning = main_network::bring_up(&mut request, call.version)?;
    let request = dhow_engine::CreateRequest {
        name: call.query.text("name").map(str::to_owned),
        // Before, clients sent it for nothing.
        platform: if call.version.at_least(41) { platform(&call)? } else { None },
        spec: container_spec::spec(request)?,
    };
    let mut created = call.engine().create(request).await?;
    created.warnings.extend(warning);
    plain_json(StatusCode::CREATED, &CreateResponse { id: created.id, warnings: created.warnings })
}

async fn start(call: Call) -> Result<Response> {
    call.context.handovers.settled(&call.name).await;
    let started = call.engine().start(&call.name).await;
    started.map_err(|error| of_the_program(error, &message::no_such_container(&call.name)))?;
    Ok(no_content())
}

/// What an error begins with where one of a container's networks is gone.
const NETWORK_MISSING: &str = "failed to set up container networking";

/// Docker answers 400 where a program cannot be run, whatever the reason: 404 is for the container only.
pub(super) fn of_the_program(error: Error, thing_missing: &str) -> Error {
    match error.class() {
        Class::NotFound if error.message() == thing_missing || error.message().starts_with(NETWORK_MISSING) => error,
        Class::NotFound | Class::PermissionDenied => error.with_class(Class::InvalidArgument),
        _ => error,
    }
}

async fn wait(call: Call) -> Result<Response> {
    let condition = match call.query.text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => return Err(Error::invalid(format!("invalid condition: {other:?}"))),
    };
    // The head goes out now: it tells the client that nothing which happens from here on is missed.
    let handle = call.engine().wait(&call.name, condition).await?;
    Ok(json_stream(Body::later(ended(handle))))
}

async fn ended(handle: WaitHandle) -> bytes::Bytes {
    let answer = match handle.status().await {
        Ok(status) => {
            WaitResponse { status_code: status.code.into(), error: status.error.map(|message| WaitError { message }) }
        }
        Err(error) => WaitResponse { status_code: 0, error: Some(WaitError { message: error.to_string() }) },
    };
    let mut text = serde_json::to_vec(&answer).expect("numbers and strings are JSON");
    text.push(b'\n');
    text.into()
}

async fn list(call: Call) -> Result<Response> {
    let limit = call.number::<i64>("limit")?.or(call.number("n")?).unwrap_or_default();
    let options = ListOptions {
        all: call.query.flag("all"),
        // Docker takes -1 for no limit.
        limit: limit.try_into().unwrap_or_default(),
        size: call.query.flag("size"),
        filters: call.filters()?,
    };
    let containers = call.engine().list(options).await?;
    // Our own CLI asks so for a plain table: the rest of a line is most of the work in a long list.
    let lean = call.query.flag("lean");
    json_list(&container_view::Summaries { containers: &containers, lean, version: call.version }, containers.len())
}

async fn inspect(call: Call) -> Result<Response> {
    let details = call.engine().inspect(&call.name, call.query.flag("size")).await?;
    json(&container_view::inspect(&details, call.version))
}

async fn remove(call: Call) -> Result<Response> {
    if call.query.flag("link") {
        call.engine().remove_link(&call.name).await?;
        return Ok(no_content());
    }
    let options = RemoveOptions { force: call.query.flag("force"), volumes: call.query.flag("v") };
    call.engine().remove(&call.name, options).await?;
    Ok(no_content())
}

async fn stop(call: Call) -> Result<Response> {
    let (signal, timeout) = ending(&call)?;
    call.engine().stop(&call.name, signal, timeout).await?;
    Ok(no_content())
}

async fn restart(call: Call) -> Result<Response> {
    let (signal, timeout) = ending(&call)?;
    call.engine().restart(&call.name, signal, timeout).await?;
    Ok(no_content())
}

/// Signal and seconds of grace.
fn ending(call: &Call) -> Result<(Option<String>, Option<i64>)> {
    Ok((call.query.text("signal").map(str::to_owned), call.number("t")?))
}

async fn kill(call: Call) -> Result<Response> {
    let killed = call.engine().kill(&call.name, call.query.text("signal").map(str::to_owned)).await;
    killed.context(|| format!("cannot kill container: {}", call.name))?;
    Ok(no_content())
}

async fn pause(call: Call) -> Result<Response> {
    call.engine().pause(&call.name).await?;
    Ok(no_content())
}

async fn unpause(call: Call) -> Result<Response> {
    call.engine().unpause(&call.name).await?;
    Ok(no_content())
}

async fn rename(call: Call) -> Result<Response> {
    let name = call.query.text("name").ok_or_else(|| Error::invalid("Neither old nor new names may be empty"))?;
    call.engine().rename(&call.name, name).await?;
    Ok(no_content())
}

async fn update(mut call: Call) -> Result<Response> {
    let request: UpdateRequest = call.json().await?;
    // Here, unlike in a creation, 0 says something: no limit any more.
    let pids_limit = request.pids_limit.filter(|_| call.version.at_least(40)).map(|limit| limit.max(0));
    let limits = Resources { pids_limit, ..host_spec::resources(&request) };
    let restart = (!request.restart_policy.name.is_empty()).then(|| host_spec::restart_policy(request.restart_policy));
    let warnings = call.engine().update(&call.name, limits, restart).await?;
    json(&UpdateResponse { warnings: wire::null_if_empty(warnings) })
}

async fn publish(mut call: Call) -> Result<Response> {
    let PublishRequest { add, remove } = call.json().await?;
    let change = PublishChange { add: host_spec::ports(add), remove: host_spec::ports(remove) };
    call.engine().publish(&call.name, change).await?;
    Ok(no_content())
}

async fn top(call: Call) -> Result<Response> {
    let arguments = call.query.text("ps_args").unwrap_or("-ef");
    let table = call.engine().top(&call.name, arguments).await?;
    json(&TopResponse { processes: table.processes, titles: table.titles })
}

async fn prune(call: Call) -> Result<Response> {
    let pruned = call.engine().prune(wire::prune::options(call.filters()?)?).await?;
    call.engine().pruned(EventKind::Container, pruned.reclaimed);
    json(&PruneResponse {
        space_reclaimed: pruned.reclaimed,
        containers_deleted: wire::null_if_empty(pruned.containers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_no_missing_container() {
        let missing = message::no_such_container("x");
        assert_eq!(of_the_program(Error::not_found("exec: no such file"), &missing).class(), Class::InvalidArgument);
        assert_eq!(of_the_program(Error::not_found(&*missing), &missing).class(), Class::NotFound);
        assert_eq!(of_the_program(Error::conflict("running"), &missing).class(), Class::Conflict);
    }
}
