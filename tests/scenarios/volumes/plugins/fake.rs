//! A volume plugin as small as the protocol allows. Its volumes are folders.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The plugin. It is gone when this is dropped.
pub(super) struct Fake {
    shared: Arc<Shared>,
    socket: PathBuf,
}

struct Shared {
    folder: PathBuf,
    users: Mutex<BTreeMap<String, Vec<String>>>,
    /// It takes questions and answers none.
    hangs: AtomicBool,
    ends: AtomicBool,
}

impl Fake {
    pub(super) fn start(folder: &Path, name: &str) -> Self {
        let socket = folder.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).expect("a socket");
        let shared = Arc::new(Shared {
            folder: folder.join(format!("{name}-volumes")),
            users: Mutex::default(),
            hangs: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for stream in listener.incoming().flatten() {
                if server.ends.load(Ordering::SeqCst) {
                    return;
                }
                if server.hangs.load(Ordering::SeqCst) {
                    unanswered.push(stream);
                } else {
                    server.serve(stream);
                }
            }
        });
        Self { shared, socket }
    }

    /// Where it keeps a volume.
    pub(super) fn place(&self, volume: &str) -> PathBuf {
        self.shared.folder.join(volume)
    }

    /// Who has a volume mounted.
    pub(super) fn users(&self, volume: &str) -> Vec<String> {
        self.shared.users.lock().expect("whole").get(volume).cloned().unwrap_or_default()
    }

    pub(super) fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, Ordering::SeqCst);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Somebody has to come so that it looks up.
        drop(UnixStream::connect(&self.socket));
        let _ = fs::remove_file(&self.socket);
    }
}

impl Shared {
    fn serve(&self, stream: UnixStream) {
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).expect("a request");
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        let method = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let answer = self.answer(&method, &body);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        // Who does not wait for it any more has given up.
        let _ = reader.into_inner().write_all((head + &answer).as_bytes());
    }

    fn answer(&self, method: &str, body: &str) -> String {
        let (name, user) = (field(body, "Name"), field(body, "ID"));
        let place = self.folder.join(&name);
        let mut users = self.users.lock().expect("whole");
        match method {
            "Plugin.Activate" => return r#"{"Implements":["VolumeDriver"]}"#.to_owned(),
            "VolumeDriver.Capabilities" => return r#"{"Capabilities":{"Scope":"global"}}"#.to_owned(),
            "VolumeDriver.Create" if name == "refused" => return r#"{"Err":"this name is refused"}"#.to_owned(),
            "VolumeDriver.Create" => fs::create_dir_all(place).expect("made"),
            "VolumeDriver.Remove" => fs::remove_dir_all(place).expect("removed"),
            "VolumeDriver.Mount" => {
                users.entry(name).or_default().push(user);
                return format!(r#"{{"Mountpoint":"{}"}}"#, place.display());
            }
            "VolumeDriver.Unmount" => users.entry(name).or_default().retain(|one| *one != user),
            "VolumeDriver.Get" if place.is_dir() => {
                let place = place.display();
                return format!(r#"{{"Volume":{{"Name":"{name}","Mountpoint":"{place}","Status":{{"Is":"fine"}}}}}}"#);
            }
            "VolumeDriver.List" => {
                let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
                let names: Vec<String> =
                    names.map(|entry| format!(r#"{{"Name":{:?}}}"#, entry.file_name().to_string_lossy())).collect();
                return format!(r#"{{"Volumes":[{}]}}"#, names.join(","));
            }
            _ => return format!(r#"{{"Err":"{method}: no such volume"}}"#),
        }
        "{}".to_owned()
    }
}

/// A text of a flat JSON object.
fn field(body: &str, name: &str) -> String {
    let rest = body.split(&format!("\"{name}\":\"")).nth(1).unwrap_or_default();
    rest.split('"').next().unwrap_or_default().to_owned()
}
