//! Which test sees the effect of which operation of containers, execs, volumes and the system: who adds a route names its test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The route as the server has it, the file and the name of a test that fails when the operation has no effect.
#[rustfmt::skip]
const SEEN: &[(&str, &str, &str)] = &[
    ("POST /auth", "tests/interop/login.rs", "what_one_command_line_keeps_the_other_uses"),
    ("GET /containers/json", "tests/scenarios/lifecycle.rs", "ps_lists_filters_and_formats"),
    ("POST /containers/create", "crates/server/tests/door/containers.rs", "what_was_asked_for_is_shown"),
    ("GET /containers/{id..}/json", "tests/scenarios/inspect.rs", "inspect_shows_what_was_asked_for"),
    ("GET /containers/{id..}/top", "tests/scenarios/stats.rs", "top_prints_what_ps_prints"),
    ("GET /containers/{id..}/logs", "crates/server/tests/door/streams.rs", "logs_have_both_streams"),
    ("GET /containers/{id..}/changes", "tests/scenarios/archive.rs", "diff_shows_what_a_container_changed_and_not_what_the_engine_made"),
    ("GET /containers/{id..}/export", "tests/scenarios/archive.rs", "export_is_the_file_system_without_mounts_running_and_stopped"),
    ("GET /containers/{id..}/stats", "tests/scenarios/stats.rs", "the_api_tells_both_moments_in_all_fields"),
    ("POST /containers/{id..}/resize", "crates/engine/tests/lifecycle/clients.rs", "a_terminal_detaches_and_goes_on"),
    ("POST /containers/{id..}/start", "tests/scenarios/lifecycle.rs", "created_started_stopped_restarted_killed_removed"),
    ("POST /containers/{id..}/stop", "tests/scenarios/lifecycle.rs", "stop_sends_the_stop_signal_first"),
    ("POST /containers/{id..}/restart", "tests/scenarios/lifecycle.rs", "a_restart_is_no_end_for_what_removes_itself"),
    ("POST /containers/{id..}/kill", "tests/scenarios/lifecycle.rs", "created_started_stopped_restarted_killed_removed"),
    ("POST /containers/{id..}/update", "tests/scenarios/update.rs", "limits_of_running_paused_and_stopped_containers_change"),
    ("POST /containers/{id..}/publish", "tests/scenarios/networks.rs", "ports_of_a_container_that_runs_are_published_and_taken_back"),
    ("POST /containers/{id..}/rename", "crates/server/tests/door/containers.rs", "a_life"),
    ("POST /containers/{id..}/pause", "tests/scenarios/lifecycle.rs", "a_paused_container_stands_still"),
    ("POST /containers/{id..}/unpause", "tests/scenarios/lifecycle.rs", "a_paused_container_stands_still"),
    ("POST /containers/{id..}/attach", "crates/server/tests/door/attach.rs", "an_upgraded_connection_carries_both_streams"),
    ("GET /containers/{id..}/attach/ws", "tests/scenarios/websocket.rs", "input_and_output_go_in_frames"),
    ("POST /containers/{id..}/wait", "tests/scenarios/lifecycle.rs", "wait_answers_for_containers_that_end_later_and_that_ended_before"),
    ("DELETE /containers/{id..}", "tests/scenarios/removal.rs", "a_running_container_needs_force"),
    ("HEAD /containers/{id..}/archive", "tests/scenarios/archive/copies.rs", "cp_in_follows_dockers_rules_into_stopped_and_running_containers"),
    ("GET /containers/{id..}/archive", "tests/scenarios/archive/copies.rs", "cp_out_follows_dockers_rules"),
    ("PUT /containers/{id..}/archive", "tests/scenarios/archive/copies.rs", "cp_in_follows_dockers_rules_into_stopped_and_running_containers"),
    ("POST /containers/prune", "crates/server/tests/door/containers.rs", "prune_takes_what_has_ended"),
    ("POST /containers/{id..}/exec", "crates/server/tests/door/execs.rs", "its_streams_come_back"),
    ("POST /exec/{id}/start", "crates/server/tests/door/execs.rs", "detached_it_runs_on_its_own"),
    ("POST /exec/{id}/resize", "crates/server/tests/door/execs.rs", "a_terminal_gets_its_size"),
    ("GET /exec/{id}/json", "crates/server/tests/door/execs.rs", "its_streams_come_back"),
    ("GET /info", "crates/server/tests/door/protocol.rs", "facts_about_the_engine"),
    ("GET /version", "tests/scenarios/system.rs", "version_and_info_are_the_same_with_both_clients"),
    ("GET /_ping", "crates/server/tests/door/protocol.rs", "versions_are_negotiated"),
    ("HEAD /_ping", "crates/server/tests/door/protocol.rs", "every_answer_says_who_answers"),
    ("GET /events", "tests/scenarios/events.rs", "a_containers_life_is_told_in_dockers_order"),
    ("GET /system/df", "tests/scenarios/system.rs", "shared_layers_are_counted_once"),
    ("GET /system/exposure", "tests/scenarios/exposure.rs", "every_way_to_a_container_is_told_with_its_reason"),
    ("POST /system/check", "tests/scenarios/check.rs", "a_damaged_layer_is_healed_from_its_blob"),
    ("POST /volumes/create", "crates/server/tests/door/volumes.rs", "create"),
    ("GET /volumes", "crates/server/tests/door/volumes.rs", "list"),
    ("POST /volumes/prune", "crates/server/tests/door/volumes.rs", "prune"),
    ("GET /volumes/{name..}", "crates/server/tests/door/volumes.rs", "inspect"),
    ("PUT /volumes/{name..}", "crates/server/tests/door/volumes.rs", "update"),
    ("DELETE /volumes/{name..}", "crates/server/tests/door/volumes.rs", "remove"),
    ("GET /volumes/{name..}/backup", "tests/scenarios/volumes/backup.rs", "a_backup_brings_everything_back_as_tar_as_oci_layout_and_as_image"),
    ("POST /volumes/{name..}/backup", "tests/scenarios/volumes/backup.rs", "a_backup_brings_everything_back_as_tar_as_oci_layout_and_as_image"),
    ("POST /volumes/{name..}/import", "tests/scenarios/volumes/backup.rs", "what_is_in_a_volume_is_not_overwritten_by_accident"),
    ("POST /volumes/{name..}/clone", "tests/scenarios/volumes/copies.rs", "a_volume_is_cloned_and_renamed"),
    ("POST /volumes/{name..}/restore", "tests/scenarios/volumes/copies.rs", "a_snapshot_is_taken_gone_back_to_and_not_removed_by_accident"),
    ("POST /volumes/{name..}/rename", "tests/scenarios/volumes/copies.rs", "a_volume_is_cloned_and_renamed"),
    ("POST /volumes/{name..}/protect", "tests/scenarios/volumes/copies.rs", "a_snapshot_is_taken_gone_back_to_and_not_removed_by_accident"),
];

/// The beginnings of paths that are of containers, execs, volumes and the system.
const OURS: &[&str] =
    &["/containers/", "/exec/", "/auth", "/info", "/version", "/_ping", "/events", "/system/", "/volumes"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The routes that are written in the server's files.
fn routes() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("crates/server/src/routes")).expect("the routes").flatten();
    let texts = files.map(|file| fs::read_to_string(file.path()).expect("a file of the server"));
    let mut routes = BTreeSet::new();
    for text in texts {
        for rest in text.split("route!(").skip(1) {
            let mut words = rest.split('"');
            let (method, path) = (words.next().unwrap_or_default().trim(), words.next().unwrap_or_default());
            if OURS.iter().any(|begin| path.starts_with(begin)) {
                routes.insert(format!("{method} {path}"));
            }
        }
    }
    routes
}

#[test]
fn every_operation_has_a_test_that_sees_its_effect() {
    let seen: BTreeSet<String> = SEEN.iter().map(|(operation, ..)| (*operation).to_owned()).collect();
    assert_eq!(seen, routes(), "left: operations of the table; right: routes of the server");
    for (operation, file, test) in SEEN {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{operation}: {file} has no test {test}");
    }
}
