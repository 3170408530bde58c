//! Every field of a runtime document survives reading and writing: a name that is written wrongly loses its value.

use std::process::Command;

use dhow_oci::runtime::{ContainerStatus, Features, Spec, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[track_caller]
fn survives<T: DeserializeOwned + Serialize>(document: &Value) {
    let read: T = serde_json::from_value(document.clone()).expect("a document");
    assert_eq!(&serde_json::to_value(&read).expect("plain data"), document);
}

#[test]
fn a_config_with_every_field() {
    survives::<Spec>(&serde_json::from_str(include_str!("documents/config.json")).expect("JSON"));
}

#[test]
fn a_state_with_every_field() {
    survives::<State>(&json!({
        "ociVersion": "1.2.0", "id": "x", "status": "running", "pid": 4422, "bundle": "/b", "annotations": {"a": "b"}
    }));
    for (status, word) in [(ContainerStatus::Creating, "creating"), (ContainerStatus::Stopped, "stopped")] {
        assert_eq!(serde_json::to_value(status).expect("plain data"), word);
    }
}

#[test]
fn features_with_every_field() {
    survives::<Features>(&json!({
        "ociVersionMin": "1.0.0", "ociVersionMax": "1.2.0", "hooks": ["prestart"], "mountOptions": ["ro"],
        "annotations": {"a": "b"}, "potentiallyUnsafeConfigAnnotations": ["c"],
        "linux": {
            "namespaces": ["pid"], "capabilities": ["CAP_KILL"],
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": true},
            "seccomp": {"enabled": true, "actions": ["SCMP_ACT_ALLOW"], "operators": ["SCMP_CMP_EQ"],
                "archs": ["SCMP_ARCH_X86"], "knownFlags": ["x"], "supportedFlags": ["y"]},
            "apparmor": {"enabled": true}, "selinux": {"enabled": true}, "intelRdt": {"enabled": true},
            "mountExtensions": {"idmap": {"enabled": true}}
        }
    }));
}

#[test]
fn unknown_fields_are_passed_over() {
    let spec: Spec = serde_json::from_value(json!({"ociVersion": "1.2.0", "zos": {}, "x": [1]})).expect("a document");
    assert_eq!(spec, Spec { oci_version: "1.2.0".to_owned(), ..Spec::default() });
}

/// An empty list says the same as none.
fn drop_empty_lists(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.retain(|_, value| *value != json!([]));
            members.values_mut().for_each(drop_empty_lists);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_lists),
        _ => {}
    }
}

#[test]
fn null_is_an_empty_list() {
    let document = json!({"mounts": null, "annotations": null, "hooks": {"prestart": null},
        "process": {"args": null, "env": null}, "linux": {"namespaces": null, "sysctl": null}});
    let spec: Spec = serde_json::from_value(document).expect("a document");
    assert!(spec.mounts.is_empty() && spec.process.expect("one").args.is_empty());
}

/// What other runtimes print is read without loss.
#[test]
fn documents_of_other_runtimes() {
    for runtime in ["runc", "crun"] {
        let folder = std::env::temp_dir().join(format!("dhow-oci-{runtime}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let made = Command::new(runtime).arg("spec").current_dir(&folder).status();
        let text = std::fs::read_to_string(folder.join("config.json"));
        std::fs::remove_dir_all(&folder).expect("our own folder");
        if made.is_err() {
            eprintln!("{runtime} is not installed: NOT TESTED");
            continue;
        }
        let mut document = serde_json::from_str(&text.expect("a config")).expect("JSON");
        drop_empty_lists(&mut document);
        survives::<Spec>(&document);
    }
}
