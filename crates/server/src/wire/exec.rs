//! Further processes: wire ↔ engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_api::exec::{CreateRequest, Inspect, ProcessConfig};
use dhow_api::version::Version;
use dhow_engine::ExecDetails;
use dhow_engine::spec::ExecSpec;

use super::null_if_empty;

/// What an exec is asked to be.
pub(crate) fn spec(request: CreateRequest) -> ExecSpec {
    ExecSpec {
        cmd: request.cmd.unwrap_or_default(),
        env: request.env.unwrap_or_default(),
        working_dir: request.working_dir,
        user: request.user,
        tty: request.tty,
        privileged: request.privileged,
        attach_stdin: request.attach_stdin,
        attach_stdout: request.attach_stdout,
        attach_stderr: request.attach_stderr,
        detach_keys: null_if_empty(request.detach_keys),
        console_size: request.console_size,
    }
}

/// The exit code of what could not be started, before Docker 28 told what is missing (127) from what may not run.
const NOT_STARTED: i32 = 126;

/// What an exec is.
pub(crate) fn inspect(exec: &ExecDetails, version: Version) -> Inspect {
    let old = exec.failed && !version.at_least(48);
    let exit_code = if old { Some(NOT_STARTED) } else { exec.exit_code };
    let spec = &exec.spec;
    let (entrypoint, arguments) =
        spec.cmd.split_first().map_or_else(Default::default, |(first, rest)| (first.clone(), rest.to_vec()));
    Inspect {
        id: exec.id.clone(),
        running: exec.running,
        exit_code: exit_code.map(Into::into),
        process_config: ProcessConfig {
            tty: spec.tty,
            entrypoint,
            arguments,
            privileged: Some(spec.privileged),
            user: spec.user.clone(),
        },
        open_stdin: spec.attach_stdin && exec.stdin_open,
        open_stderr: spec.attach_stderr,
        open_stdout: spec.attach_stdout,
        can_remove: exec.can_remove,
        container_id: exec.container_id.clone(),
        detach_keys: Some(STANDARD.encode(spec.detach_keys.as_deref().unwrap_or_default())),
        pid: exec.pid.into(),
    }
}
