//! Volume plugins: other programs that keep the content of volumes, spoken to in Docker's plugin protocol
//! (docs.docker.com, "Docker Plugin API" and "Docker volume plugins").
//!
//! A plugin is found by its name, as a socket or as a file with its address, when it is needed, and not before: one that is
//! down harms only those who use it. Each call has a deadline; one that finds nobody listening is tried again for a while,
//! because plugins are restarted.

mod address;
mod http;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Class, Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use address::Address;

/// Where plugins are found, and how long they are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// Folders with `NAME.sock`, `NAME.spec` or `NAME.json`, also in a folder `NAME`.
    pub folders: Vec<PathBuf>,
    /// How long a call may take.
    pub deadline: Duration,
}

impl Default for PluginSettings {
    fn default() -> Self {
        let folders = ["/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"];
        Self { folders: folders.map(PathBuf::from).to_vec(), deadline: Duration::from_secs(60) }
    }
}

/// For so long somebody who does not listen may come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a plugin is waited for where every one of them is asked.
const EACH_DEADLINE: Duration = Duration::from_secs(5);

/// The same for one that did not answer lately: nobody waits for it again and again.
const SILENT_DEADLINE: Duration = Duration::from_millis(500);

/// How long that is so. Who is always that slow, and was slower once, is waited for again then.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a question may take, and for how much of that somebody who does not listen may come back.
#[derive(Debug, Clone, Copy)]
struct Wait {
    deadline: Duration,
    patience: Duration,
}

/// The plugins of this host.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    settings: PluginSettings,
    /// Those that did not answer, since when.
    silent: Mutex<BTreeMap<String, Instant>>,
}

/// A volume as its plugin describes it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Described {
    pub name: String,
    pub mountpoint: String,
    pub status: Option<BTreeMap<String, Value>>,
}

/// What every answer has.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    err: String,
    mountpoint: String,
    volume: Option<Described>,
    volumes: Option<Vec<Described>>,
    capabilities: Map<String, Value>,
}

impl Plugins {
    pub(crate) fn new(settings: PluginSettings) -> Self {
        Self { settings, silent: Mutex::default() }
    }

    /// How long a call may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    /// For a plugin that is needed.
    fn patiently(&self) -> Wait {
        Wait { deadline: self.settings.deadline, patience: PATIENCE }
    }

    /// For one that is asked because the others are.
    fn shortly(&self, plugin: &str) -> Wait {
        let silent = self.silent().get(plugin).is_some_and(|since| since.elapsed() < SILENCE);
        let deadline = if silent { SILENT_DEADLINE } else { EACH_DEADLINE };
        Wait { deadline: self.settings.deadline.min(deadline), patience: Duration::ZERO }
    }

    fn silent(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether it has answered a question.
    fn note(&self, plugin: &str, answered: bool) {
        let mut silent = self.silent();
        if answered || silent.get(plugin).is_some_and(|since| since.elapsed() >= SILENCE) {
            silent.remove(plugin);
        }
        if !answered {
            silent.entry(plugin.to_owned()).or_insert_with(Instant::now);
        }
    }

    /// What each plugin that there is answers. They are asked at the same time.
    fn each<T: Send>(&self, ask: impl Fn(&str) -> T + Sync) -> Vec<(String, T)> {
        let (names, ask) = (address::names(&self.settings.folders), &ask);
        thread::scope(|scope| {
            let asked = names.into_iter().map(|name| scope.spawn(move || (ask(&name), name)));
            let asked: Vec<_> = asked.collect();
            asked.into_iter().filter_map(|thread| thread.join().ok()).map(|(answer, name)| (name, answer)).collect()
        })
    }

    /// The plugins that keep volumes, and those that do not say what they do.
    pub(crate) fn drivers(&self) -> Vec<String> {
        let asked = self.each(|plugin| self.keeps_volumes(plugin, self.shortly(plugin)));
        asked.into_iter().filter(|(_, keeps)| !matches!(keeps, Ok(false))).map(|(plugin, _)| plugin).collect()
    }

    /// The first plugin that has a volume of that name. One that is down has nothing to say.
    pub(crate) fn keeper(&self, volume: &str) -> Option<String> {
        let asked = self.each(|plugin| self.get_within(plugin, volume, self.shortly(plugin)));
        asked.into_iter().find(|(_, answer)| matches!(answer, Ok(Some(_)))).map(|(plugin, _)| plugin)
    }

    /// Checks that there is a plugin of that name and that it keeps volumes.
    ///
    /// # Errors
    /// `NotFound` in Docker's words.
    pub(crate) fn activate(&self, plugin: &str) -> Result<()> {
        if self.keeps_volumes(plugin, self.patiently())? {
            return Ok(());
        }
        Err(looking_up(plugin, Error::not_found(format!("plugin {plugin:?} does not implement VolumeDriver"))))
    }

    fn keeps_volumes(&self, plugin: &str, wait: Wait) -> Result<bool> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Manifest {
            implements: Vec<String>,
        }
        let manifest: Manifest = self.call(plugin, "Plugin.Activate", &Value::Null, wait)?;
        Ok(manifest.implements.iter().any(|kind| kind == "VolumeDriver"))
    }

    /// `local` or `global`.
    pub(crate) fn scope(&self, plugin: &str) -> String {
        // Plugins of the first version do not know the question.
        let scope = self.ask(plugin, "Capabilities", &json!({})).ok();
        let scope = scope.and_then(|answer| answer.capabilities.get("Scope")?.as_str().map(str::to_owned));
        scope.filter(|scope| scope == "global").unwrap_or_else(|| "local".to_owned())
    }

    pub(crate) fn create(&self, plugin: &str, name: &str, options: Option<&BTreeMap<String, String>>) -> Result<()> {
        let options = options.cloned().unwrap_or_default();
        self.ask(plugin, "Create", &json!({"Name": name, "Opts": options})).map(drop)
    }

    pub(crate) fn remove(&self, plugin: &str, name: &str) -> Result<()> {
        self.ask(plugin, "Remove", &json!({"Name": name})).map(drop)
    }

    /// Where the content is from now on; `user` is who needs it.
    pub(crate) fn mount(&self, plugin: &str, name: &str, user: &str) -> Result<PathBuf> {
        let answer = self.ask(plugin, "Mount", &json!({"Name": name, "ID": user}));
        let answer = answer.map_err(|error| error.context(format!("error while mounting volume '{name}'")))?;
        if !answer.mountpoint.starts_with('/') {
            return Err(Error::internal(format!(
                "error while mounting volume '{name}': plugin {plugin} names no folder: {:?}",
                answer.mountpoint
            )));
        }
        Ok(PathBuf::from(answer.mountpoint))
    }

    pub(crate) fn unmount(&self, plugin: &str, name: &str, user: &str) -> Result<()> {
        self.ask(plugin, "Unmount", &json!({"Name": name, "ID": user})).map(drop)
    }

    /// A volume, if the plugin has one of that name.
    pub(crate) fn get(&self, plugin: &str, name: &str) -> Result<Option<Described>> {
        self.get_within(plugin, name, self.patiently())
    }

    fn get_within(&self, plugin: &str, name: &str, wait: Wait) -> Result<Option<Described>> {
        match self.ask_within(plugin, "Get", &json!({"Name": name}), wait) {
            Ok(answer) => Ok(answer.volume.filter(|volume| volume.name == name)),
            // What it says is that it has none; that it cannot be asked is another matter.
            Err(error) if error.class() == Class::Internal => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What every plugin answers when it is asked for its volumes.
    pub(crate) fn lists(&self) -> Vec<(String, Result<Vec<Described>>)> {
        self.each(|plugin| {
            let answer = self.ask_within(plugin, "List", &json!({}), self.shortly(plugin))?;
            Ok(answer.volumes.unwrap_or_default())
        })
    }

    /// A call whose answer may be an error of the plugin's own.
    fn ask(&self, plugin: &str, method: &str, body: &Value) -> Result<Answer> {
        self.ask_within(plugin, method, body, self.patiently())
    }

    fn ask_within(&self, plugin: &str, method: &str, body: &Value, wait: Wait) -> Result<Answer> {
        let answer: Answer = self.call(plugin, &format!("VolumeDriver.{method}"), body, wait)?;
        if answer.err.is_empty() {
            return Ok(answer);
        }
        Err(Error::internal(format!("VolumeDriver.{method}: {}", answer.err)))
    }

    /// One question.
    fn call<T: DeserializeOwned>(&self, plugin: &str, method: &str, body: &Value, wait: Wait) -> Result<T> {
        let Wait { deadline, patience } = wait;
        let end = Instant::now() + deadline;
        let patient_until = Instant::now() + patience.min(deadline);
        let address = Address::find(&self.settings.folders, plugin).map_err(|error| looking_up(plugin, error))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut pause = Duration::from_millis(20);
        let answer = loop {
            match http::post(&address, method, &body, end) {
                Err(error) if http::nobody_listens(&error) && Instant::now() + pause < patient_until => {
                    thread::sleep(pause);
                    pause *= 2;
                }
                answer => break answer.map_err(|error| unreachable(plugin, method, deadline, error)),
            }
        };
        self.note(plugin, !matches!(&answer, Err(error) if error.class() == Class::DeadlineExceeded));
        let answer = answer?;
        if answer.status != 200 {
            return Err(refusal(method, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|cause| {
            Error::internal(format!("plugin {plugin} answers {method} with what is no JSON")).with_cause(cause)
        })
    }
}

/// Docker's words around what went wrong when a driver was looked for.
fn looking_up(plugin: &str, error: Error) -> Error {
    error.context(format!("error looking up volume plugin {plugin}"))
}

fn unreachable(plugin: &str, method: &str, deadline: Duration, error: io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
        let text = format!("plugin {plugin} did not answer {method} within {} s", deadline.as_secs_f32());
        return Error::deadline(text)
            .with_hint("see what the plugin waits for, or restart it; other volumes are unharmed");
    }
    Error::unavailable(format!("plugin {plugin} cannot be asked for {method}")).with_cause(error)
}

/// Some plugins put their errors into the status, too.
fn refusal(method: &str, body: &[u8]) -> Error {
    let told = serde_json::from_slice::<Answer>(body).map(|answer| answer.err).unwrap_or_default();
    let told = if told.is_empty() { String::from_utf8_lossy(body).trim().to_owned() } else { told };
    Error::internal(format!("{method}: {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    fn plugins_in(folder: &tempfile::TempDir, deadline: Duration) -> Plugins {
        Plugins::new(PluginSettings { folders: vec![folder.path().to_owned()], deadline })
    }

    fn answer_one(mut stream: impl Read + Write, answer: &str) -> String {
        let (mut request, mut piece) = (Vec::new(), [0_u8; 1024]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..length]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request).lines().next().unwrap().to_owned()
    }

    /// A plugin that gives each of some answers once.
    fn plugin(answers: Vec<String>) -> (tempfile::TempDir, Plugins, thread::JoinHandle<Vec<String>>) {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("p.sock")).unwrap();
        let answer = move |answer: String| answer_one(listener.accept().unwrap().0, &answer);
        let plugins = plugins_in(&folder, Duration::from_secs(60));
        (folder, plugins, thread::spawn(move || answers.into_iter().map(answer).collect()))
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn answers_of_all_shapes_are_understood() {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"Err\":\"\r\n2\r\n\"}\r\n0\r\n\r\n".to_owned();
        let refused = "HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n{\"Err\":\"no bucket\"}".to_owned();
        let (_folder, plugins, asked) = plugin(vec![
            ok(r#"{"Implements":["VolumeDriver"]}"#),
            ok(r#"{"Mountpoint":"/m","Err":""}"#),
            chunked,
            refused,
            ok(r#"{"Err":"no such volume"}"#),
        ]);
        plugins.activate("p").unwrap();
        assert_eq!(plugins.mount("p", "v", "id").unwrap(), PathBuf::from("/m"));
        plugins.unmount("p", "v", "id").unwrap();
        let error = plugins.create("p", "v", None).unwrap_err();
        assert_eq!(error.to_string(), "VolumeDriver.Create: no bucket");
        assert_eq!(plugins.get("p", "v").unwrap(), None);
        assert_eq!(asked.join().unwrap()[1], "POST /VolumeDriver.Mount HTTP/1.1");
    }

    #[test]
    fn one_that_is_not_there_or_never_answers_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let plugins = plugins_in(&folder, Duration::from_millis(50));
        let error = plugins.activate("p").unwrap_err();
        assert_eq!(error.to_string(), "error looking up volume plugin p: plugin \"p\" not found");
        // It takes connections (the kernel does) and says nothing.
        let _listener = UnixListener::bind(folder.path().join("p.sock")).unwrap();
        assert_eq!(plugins.get("p", "v").unwrap_err().class(), Class::DeadlineExceeded);
    }

    #[test]
    fn one_that_did_not_answer_is_not_waited_for_again_and_may_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let plugins = plugins_in(&folder, Duration::from_secs(60));
        assert_eq!(plugins.shortly("p").deadline, EACH_DEADLINE);
        let listener = UnixListener::bind(folder.path().join("p.sock")).unwrap();
        let once = Wait { deadline: Duration::from_millis(50), patience: Duration::ZERO };
        assert!(plugins.get_within("p", "v", once).is_err());
        assert_eq!(plugins.shortly("p").deadline, SILENT_DEADLINE);
        let served = thread::spawn(move || {
            // The first is the one that was given up.
            let _given_up = listener.accept().unwrap();
            answer_one(listener.accept().unwrap().0, &ok(r#"{"Volume":{"Name":"v"}}"#))
        });
        assert_eq!(plugins.get("p", "v").unwrap().unwrap().name, "v");
        assert_eq!(plugins.shortly("p").deadline, EACH_DEADLINE);
        served.join().unwrap();
    }

    #[test]
    fn every_one_is_asked_at_the_same_time_and_those_that_keep_no_volumes_are_no_drivers() {
        let folder = tempfile::tempdir().unwrap();
        let implements = |kind: &str| ok(&format!(r#"{{"Implements":["{kind}"]}}"#));
        // Each answers when both have been asked.
        let together = std::sync::Arc::new(std::sync::Barrier::new(2));
        let start = |name: &str, answers: Vec<String>| {
            let listener = UnixListener::bind(folder.path().join(name)).unwrap();
            let together = std::sync::Arc::clone(&together);
            thread::spawn(move || {
                for answer in answers {
                    let (stream, _) = listener.accept().unwrap();
                    together.wait();
                    answer_one(stream, &answer);
                }
            })
        };
        let served = [
            start("net.sock", vec![implements("NetworkDriver"), "HTTP/1.1 404 Not Found\r\n\r\n".to_owned()]),
            start("vol.sock", vec![implements("VolumeDriver"), ok(r#"{"Volume":{"Name":"v"}}"#)]),
        ];
        std::fs::write(folder.path().join("down.spec"), "unix:///nothing").unwrap();
        let plugins = plugins_in(&folder, Duration::from_secs(60));
        assert_eq!(plugins.drivers(), ["down", "vol"]);
        assert_eq!(plugins.keeper("v").as_deref(), Some("vol"));
        for thread in served {
            thread.join().unwrap();
        }
    }
}
