//! Labs: documents that teach, executed as they are, with our command line and word for word with the stock `docker`
//! against our engine.
//!
//! A lab is a Markdown file. In its `console` blocks a line behind `$ ` is a command (continued behind `> `), and the
//! lines up to the next command are what it prints; `...` stands for anything. Every command must end with exit code 0.
//! The shell of a lab has `dhow` (or `docker`, where the document's `dhow` is replaced), a folder of its own as working
//! directory, `$ENGINE_PIDFILE`, and `start-engine`.

mod script;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_testkit::World;
use script::{Script, Step};

const DHOW: &str = env!("CARGO_BIN_EXE_dhow");

/// Runs a lab in a world of its own; `client` is the word that commands begin with.
fn run(lab: &str, client: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/labs").join(lab);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let script = Script::parse(&text);
    assert!(!script.steps().is_empty(), "{lab} has no commands");
    let world = World::new(DHOW);
    let printed = execute(&world, &script, client);
    for (step, printed) in script.steps().iter().zip(&printed) {
        step.check(printed).unwrap_or_else(|fault| panic!("{lab} with {client}: {fault}"));
    }
    assert_eq!(printed.len(), script.steps().len(), "{lab} with {client} stopped early");
    world.adopt_engine();
}

/// Runs all steps in one shell and returns what each printed.
fn execute(world: &World, script: &Script, client: &str) -> Vec<script::Printed> {
    let work = world.path().join("work");
    fs::create_dir(&work).expect("made");
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script.shell(client)).current_dir(&work).stdin(Stdio::null());
    shell.env("DOCKER_HOST", world.host()).env("HOME", world.path()).env("ENGINE_PIDFILE", world.pidfile());
    shell.env("START_ENGINE", world.start_command()).env("DHOW", DHOW);
    let output = shell.output().expect("bash starts");
    script::split(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr))
}

impl Step {
    fn check(&self, printed: &script::Printed) -> Result<(), String> {
        if printed.code != 0 {
            return Err(format!("`{}` ended with {}:\n{}", self.command, printed.code, printed.text));
        }
        if self.matches(&printed.text) {
            return Ok(());
        }
        Err(format!("`{}` printed\n{}\ninstead of\n{}", self.command, printed.text, self.expected))
    }
}

macro_rules! labs {
    ($($name:ident => $file:literal),* $(,)?) => {
        mod with_dhow { $(#[test] fn $name() { super::run($file, "dhow"); })* }
        mod with_stock_docker { $(#[test] fn $name() { super::run($file, "docker"); })* }

        /// A lab that nobody runs would only look like a test.
        #[test]
        fn every_lab_is_run() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/labs");
            for entry in fs::read_dir(folder).expect("the labs").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!name.ends_with(".md") || [$($file),*].contains(&name.as_str()), "{name} is not run");
            }
        }
    };
}

labs! {
    exploring_registries => "exploring-registries.md",
    first_container => "first-container.md",
    monitoring => "monitoring.md",
    networks => "networks.md",
    private_registries => "private-registries.md",
    volumes => "volumes.md",
    working_with_containers => "working-with-containers.md",
    working_with_images => "working-with-images.md",
}
