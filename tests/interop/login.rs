//! `login` and `logout`: our command line and Docker's against a stock engine and a registry with a password, with the same
//! words and the same files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dhow_testkit::{Outcome, Registry, StockEngine, finish, finish_with_input, install_credential_helper};

use crate::DHOW;

struct Case {
    engine: StockEngine,
    registry: Registry,
}

impl Case {
    fn new() -> Self {
        Self { engine: StockEngine::start(&[]), registry: Registry::guarded() }
    }

    /// A client with a home of its own; `SERVER` stands for the registry.
    fn command(&self, program: &str, home: &Path, args: &[&str]) -> Command {
        let server = self.registry.address();
        let args: Vec<&str> = args.iter().map(|&word| if word == "SERVER" { &*server } else { word }).collect();
        let mut command = self.engine.command(program, &args);
        let path = std::env::var("PATH").expect("a path");
        command.env("HOME", home).env("PATH", format!("{}:{path}", home.join("bin").display()));
        command
    }

    fn both(&self, homes: &Homes, args: &[&str]) -> Outcome {
        let ours = finish(&mut self.command(DHOW, &homes.ours, args));
        let stock = finish(&mut self.command("docker", &homes.stock, args));
        homes.compare(&ours, &stock, args);
        ours
    }
}

struct Homes {
    folder: tempfile::TempDir,
    ours: std::path::PathBuf,
    stock: std::path::PathBuf,
}

impl Homes {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = |name: &str| {
            let home = folder.path().join(name);
            fs::create_dir_all(home.join("bin")).expect("made");
            home
        };
        let (ours, stock) = (home("a"), home("b"));
        Self { ours, stock, folder }
    }

    fn each(&self) -> [&Path; 2] {
        [&self.ours, &self.stock]
    }

    fn config(&self, home: &Path) -> serde_json::Value {
        let text = fs::read(home.join(".docker/config.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn compare(&self, ours: &Outcome, stock: &Outcome, args: &[&str]) {
        let homes = [self.ours.display().to_string(), self.stock.display().to_string()];
        let text = |outcome: &Outcome| {
            let masked = |text: String| homes.iter().fold(text, |text, home| text.replace(home, "HOME"));
            let words = masked(outcome.stderr()).replace("run 'docker", "run 'dhow").replace("by 'docker", "by 'dhow");
            (outcome.code(), masked(outcome.stdout()), words)
        };
        assert_eq!(text(ours), text(stock), "{args:?}");
        assert_eq!(self.config(&self.ours), self.config(&self.stock), "{args:?}, in {:?}", self.folder);
    }
}

#[test]
fn the_file_and_the_words_are_dockers() {
    let (case, homes) = (Case::new(), Homes::new());
    case.both(&homes, &["login", "SERVER"]).exits(1).says("Cannot perform an interactive login from a non TTY device");
    case.both(&homes, &["login", "-u", "me", "-p", "wrong", "SERVER"]).exits(1).says("401 Unauthorized");
    case.both(&homes, &["login", "-u", "me", "-p", "secret", "SERVER"]).exits(0).says("stored unencrypted");
    case.both(&homes, &["login", "SERVER"]).exits(0).says("Authenticating with existing credentials");
    case.both(&homes, &["login", "-u", "me", "-p", "x", "--password-stdin", "SERVER"]).exits(1);
    case.both(&homes, &["login", "--password-stdin", "SERVER"]).exits(1);
    case.both(&homes, &["login", "-u", "me", "-p", "secret", "127.0.0.1:1"]).exits(1);
    for home in homes.each() {
        let mode = fs::metadata(home.join(".docker/config.json")).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    case.both(&homes, &["logout", "SERVER"]).exits(0);
    case.both(&homes, &["logout", "SERVER"]).exits(0);
    for (program, home) in [(DHOW, &homes.ours), ("docker", &homes.stock)] {
        let args = ["login", "-u", "me", "--password-stdin", "SERVER"];
        finish_with_input(&mut case.command(program, home, &args), b"secret\n".to_vec()).exits(0);
    }
    assert_eq!(homes.config(&homes.ours), homes.config(&homes.stock));
}

#[test]
fn what_one_command_line_keeps_the_other_uses() {
    let (case, homes) = (Case::new(), Homes::new());
    let text = r#"{"plugins": {"x": {"y": "z"}}, "ours": 1}"#;
    fs::create_dir_all(homes.ours.join(".docker")).expect("made");
    fs::write(homes.ours.join(".docker/config.json"), text).expect("written");
    finish(&mut case.command(DHOW, &homes.ours, &["login", "-u", "me", "-p", "secret", "SERVER"])).exits(0);
    assert_eq!(homes.config(&homes.ours)["ours"], 1, "fields that we do not know stay");
    finish(&mut case.command("docker", &homes.ours, &["login", "SERVER"])).exits(0);
    finish(&mut case.command("docker", &homes.ours, &["logout", "SERVER"])).exits(0);
    finish(&mut case.command("docker", &homes.ours, &["login", "-u", "me", "-p", "secret", "SERVER"])).exits(0);
    finish(&mut case.command(DHOW, &homes.ours, &["login", "SERVER"])).exits(0);
}

#[test]
fn helpers_keep_secrets_out_of_the_file() {
    let (case, homes) = (Case::new(), Homes::new());
    for home in homes.each() {
        install_credential_helper(home);
        fs::create_dir_all(home.join(".docker")).expect("made");
        let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, case.registry.address());
        fs::write(home.join(".docker/config.json"), config).expect("written");
    }
    case.both(&homes, &["login", "-u", "me", "-p", "secret", "SERVER"]).exits(0);
    let kept = |home: &Path| fs::read_to_string(home.join("kept")).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_str(&kept(&homes.ours)).expect("a document");
    assert_eq!((&document["Username"], &document["Secret"]), (&"me".into(), &"secret".into()));
    assert_eq!(document, serde_json::from_str::<serde_json::Value>(&kept(&homes.stock)).expect("a document"));
    case.both(&homes, &["login", "SERVER"]).exits(0);
    case.both(&homes, &["logout", "SERVER"]).exits(0);
    assert_eq!((kept(&homes.ours), kept(&homes.stock)), (String::new(), String::new()));
    // One that is named and is not there.
    fs::remove_file(homes.ours.join("bin/docker-credential-test")).expect("it was there");
    let missing = finish(&mut case.command(DHOW, &homes.ours, &["login", "-u", "me", "-p", "secret", "SERVER"]));
    missing.exits(1).says("docker-credential-test");
}
