//! bollard, the client of Rust programs.

use std::collections::HashMap;
use std::future::Future;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ContainerUpdateBody};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    EventsOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RenameContainerOptionsBuilder, StatsOptionsBuilder, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use dhow_testkit::{World, busybox_tar};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

use super::DHOW;

/// Seconds that a request may take: no test is to end because a machine is slow.
const PATIENCE: u64 = 600;

/// Runs a test's steps against an engine of its own.
fn with_client<F: Future<Output = ()>>(steps: impl FnOnce(Docker) -> F) {
    let world = World::with_busybox(DHOW);
    let socket = world.socket().display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Docker::connect_with_unix(&socket, PATIENCE, API_DEFAULT_VERSION).expect("a client");
        steps(client.negotiate_version().await.expect("an engine")).await;
    });
}

async fn create(client: &Docker, name: &str, script: &str, more: ContainerCreateBody) {
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    let words = ["sh", "-c", script].map(str::to_owned).to_vec();
    let body = ContainerCreateBody { image: Some("busybox".to_owned()), cmd: Some(words), ..more };
    client.create_container(Some(options), body).await.expect("created");
}

async fn start(client: &Docker, name: &str, script: &str) {
    create(client, name, script, ContainerCreateBody::default()).await;
    client.start_container(name, None).await.expect("started");
}

async fn remove(client: &Docker, name: &str) {
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    client.remove_container(name, Some(force)).await.expect("removed");
}

/// What a stream gave on standard output and standard error.
async fn outputs(stream: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>) -> (String, String) {
    let pieces: Vec<LogOutput> = stream.try_collect().await.expect("a whole stream");
    let (mut out, mut err) = (String::new(), String::new());
    for piece in pieces {
        match piece {
            LogOutput::StdErr { .. } => err.push_str(&piece.to_string()),
            _ => out.push_str(&piece.to_string()),
        }
    }
    (out, err)
}

#[test]
fn life_cycle() {
    with_client(|client| async move {
        start(&client, "life", "sleep 1000").await;
        let running = client.list_containers(None).await.expect("a list");
        assert_eq!(running[0].names, Some(vec!["/life".to_owned()]));
        client.pause_container("life").await.expect("paused");
        client.unpause_container("life").await.expect("unpaused");
        let rename = RenameContainerOptionsBuilder::new().name("lives").build();
        client.rename_container("life", rename).await.expect("renamed");
        let update = ContainerUpdateBody { memory: Some(64 << 20), memory_swap: Some(64 << 20), ..Default::default() };
        client.update_container("lives", update).await.expect("updated");
        let seen = client.inspect_container("lives", None).await.expect("inspected");
        assert_eq!(seen.host_config.and_then(|host| host.memory), Some(64 << 20));
        let top = client.top_processes("lives", None).await.expect("processes");
        assert!(top.processes.expect("rows").concat().join(" ").contains("sleep 1000"));
        let at_once = StopContainerOptionsBuilder::new().t(0).build();
        client.stop_container("lives", Some(at_once)).await.expect("stopped");
        let stopped = client.inspect_container("lives", None).await.expect("inspected").state.expect("a state");
        assert_eq!((stopped.running, stopped.exit_code), (Some(false), Some(137)));
        remove(&client, "lives").await;
        let all = ListContainersOptionsBuilder::new().all(true).build();
        assert!(client.list_containers(Some(all)).await.expect("a list").is_empty());
    });
}

#[test]
fn exec() {
    with_client(|client| async move {
        start(&client, "exec", "sleep 1000").await;
        let asked = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", "cat; echo wrong >&2; exit 4"]),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = client.create_exec("exec", asked).await.expect("created").id;
        let started = client.start_exec(&exec, None::<StartExecOptions>).await.expect("started");
        let StartExecResults::Attached { output, mut input } = started else { panic!("it was to be attached") };
        input.write_all(b"typed\n").await.expect("sent");
        input.shutdown().await.expect("the end of the input");
        assert_eq!(outputs(output).await, ("typed\n".to_owned(), "wrong\n".to_owned()));
        assert_eq!(client.inspect_exec(&exec).await.expect("inspected").exit_code, Some(4));
        remove(&client, "exec").await;
    });
}

#[test]
fn attach() {
    with_client(|client| async move {
        let open = ContainerCreateBody { open_stdin: Some(true), stdin_once: Some(true), ..Default::default() };
        create(&client, "attach", "read line; echo got $line; echo wrong >&2", open).await;
        let all = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stderr(true).stream(true).build();
        let attached = client.attach_container("attach", Some(all)).await.expect("attached");
        let AttachContainerResults { output, mut input } = attached;
        client.start_container("attach", None).await.expect("started");
        input.write_all(b"this\n").await.expect("sent");
        assert_eq!(outputs(output).await, ("got this\n".to_owned(), "wrong\n".to_owned()));
        remove(&client, "attach").await;
    });
}

#[test]
fn logs() {
    with_client(|client| async move {
        start(&client, "logs", "echo one; echo two >&2; echo three").await;
        let followed = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
        let (out, err) = outputs(client.logs("logs", Some(followed))).await;
        assert_eq!((out.as_str(), err.as_str()), ("one\nthree\n", "two\n"));
        remove(&client, "logs").await;
        start(&client, "lines", "seq 1 3").await;
        let _ = client.wait_container("lines", None).next().await;
        let last = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("1").build();
        assert_eq!(outputs(client.logs("lines", Some(last))).await.0, "3\n");
        remove(&client, "lines").await;
    });
}

#[test]
fn stats() {
    with_client(|client| async move {
        start(&client, "stats", "sleep 1000").await;
        let stream = StatsOptionsBuilder::new().stream(true).build();
        let samples: Vec<_> = client.stats("stats", Some(stream)).take(2).try_collect().await.expect("samples");
        assert!(samples[1].memory_stats.as_ref().and_then(|memory| memory.usage).expect("a number") > 0);
        assert_eq!(samples[1].preread, samples[0].read);
        remove(&client, "stats").await;
    });
}

#[test]
fn events() {
    with_client(|client| async move {
        let only = HashMap::from([("type", vec!["container"])]);
        // From the beginning: the stream comes on a connection of its own, perhaps after the first event.
        let options = EventsOptionsBuilder::new().filters(&only).since("1").build();
        let mut events = Box::pin(client.events(Some(options)));
        let life = async {
            start(&client, "events", "exit 0").await;
            let _ = client.wait_container("events", None).next().await;
            remove(&client, "events").await;
        };
        let seen = async {
            let mut seen = Vec::new();
            while seen.last().map(String::as_str) != Some("destroy") {
                seen.extend(events.next().await.expect("goes on").expect("an event").action);
            }
            seen
        };
        let (seen, ()) = tokio::join!(seen, life);
        assert_eq!(seen, ["create", "start", "die", "destroy"]);
    });
}

#[test]
fn archive() {
    with_client(|client| async move {
        create(&client, "archive", "true", ContainerCreateBody::default()).await;
        let into = UploadToContainerOptionsBuilder::new().path("/tmp").build();
        let sent = bollard::body_full(busybox_tar().into());
        client.upload_to_container("archive", Some(into), sent).await.expect("uploaded");
        let from = DownloadFromContainerOptionsBuilder::new().path("/tmp/bin/busybox").build();
        let pieces: Vec<_> =
            client.download_from_container("archive", Some(from)).try_collect().await.expect("downloaded");
        assert!(pieces.concat().starts_with(b"busybox\0"));
        let changes = client.container_changes("archive").await.expect("changes").expect("some");
        assert!(changes.iter().any(|change| change.path == "/tmp/bin/busybox"));
        remove(&client, "archive").await;
    });
}
