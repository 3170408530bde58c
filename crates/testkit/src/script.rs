//! Scripts of Docker's command line, played with one client or the other.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, finish, mask};

/// Lines of shell in which `docker` is the client under test. Each line is a shell of its own, in a folder of the
/// script's. Empty lines and those that begin with `#` are for whoever reads the script. Of a line that begins with `~`
/// the exit code alone is to be the same: its comment says why we print something else on purpose.
#[derive(Debug)]
pub struct Script {
    name: String,
    lines: Vec<String>,
}

/// Where the project's scripts are, by theme.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scripts");

/// Before a line of which only the exit code is compared.
const OTHER_WORDS: char = '~';

/// What one line did, as far as it is the same each time.
type Seen = (i32, String, String);

impl Script {
    /// The themes of the project's scripts, by name.
    ///
    /// # Panics
    /// Where the scripts are not.
    #[must_use]
    pub fn themes() -> Vec<String> {
        let folders = fs::read_dir(SCRIPTS).expect("scripts").map(|entry| entry.expect("readable").file_name());
        let mut themes: Vec<_> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
        themes.sort_unstable();
        themes
    }

    /// The scripts of a theme, by name.
    ///
    /// # Panics
    /// Where there is no such theme, or nothing in it.
    #[must_use]
    pub fn all_of(theme: &str) -> Vec<Self> {
        let folder = Path::new(SCRIPTS).join(theme);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "no script in {}", folder.display());
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// One of these lines.
    #[must_use]
    pub fn new(name: &str, lines: Vec<String>) -> Self {
        Self { name: name.to_owned(), lines }
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let told = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, lines: text.lines().filter(told).map(str::to_owned).collect() }
    }

    /// What the script is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Plays it in a world (its folder is `root`) where `client` is the program that answers to `docker`, or the one that
    /// is installed. `command` makes a command with the environment of that world.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn play(&self, root: &Path, client: Option<&Path>, command: impl Fn(&str, &[&str]) -> Command) -> Vec<Outcome> {
        let (programs, here) = (root.join("programs"), root.join(&self.name));
        fs::create_dir_all(&programs).expect("a folder for the client");
        fs::create_dir_all(&here).expect("a folder for the script");
        if let Some(client) = client {
            // Another script of the same world may have done it.
            drop(symlink(client, programs.join("docker")));
        }
        let mut path = OsString::from(programs);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let shell = |line: &String| {
            let line = line.trim_start_matches(OTHER_WORDS);
            finish(command("sh", &["-c", line]).current_dir(&here).env("PATH", &path))
        };
        self.lines.iter().map(shell).collect()
    }

    /// Where two plays of it differ, in words; `ours` and `stock` come with the folder of their world.
    #[must_use]
    pub fn differences(&self, ours: (&Path, &[Outcome]), stock: (&Path, &[Outcome])) -> Vec<String> {
        let pairs = self.lines.iter().zip(ours.1.iter().zip(stock.1));
        let differing = pairs.filter_map(|(line, (own, other))| {
            let (own, other) = (seen(ours.0, own), seen(stock.0, other));
            let same = if line.starts_with(OTHER_WORDS) { own.0 == other.0 } else { own == other };
            (!same).then(|| format!("{}: {line}\nours:  {}\nstock: {}\n", self.name, show(&own), show(&other)))
        });
        differing.collect()
    }
}

fn seen(root: &Path, outcome: &Outcome) -> Seen {
    (outcome.code(), mask::output(root, &outcome.stdout()), mask::output(root, &told(&outcome.stderr())))
}

/// What is said about the matter: neither our hints, nor the log of Docker's client, nor the line in which it tells its own
/// exit code.
fn told(text: &str) -> String {
    let aside = |line: &str| line.starts_with("hint: ") || line.starts_with("time=\"") || line == "exit status 1\n";
    let told: String = text.split_inclusive('\n').filter(|line| !aside(line)).collect();
    // Where words are too many, one of Docker's begins with a letter too many.
    told.replace("\nSRun '", "\nRun '")
}

fn show((code, stdout, stderr): &Seen) -> String {
    format!("code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
}
