//! Registries that want tokens: our engine and Docker's, each with both command lines, with the same words and the same
//! files.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_testkit::{Outcome, Registry, StockEngine, TokenServer, World, finish};
use serde_json::Value;

use crate::DHOW;

struct Case {
    ours: World,
    stock: StockEngine,
    registry: Registry,
    tokens: TokenServer,
}

impl Case {
    fn new() -> Self {
        let tokens = TokenServer::start();
        let registry = Registry::with_tokens(&tokens);
        Self { ours: World::with_busybox(DHOW), stock: StockEngine::start(&[]), registry, tokens }
    }

    /// The same with each engine and each command line; `APP` stands for a name in the registry, `SERVER` for it.
    fn all(&self, args: &[&str]) -> Outcome {
        let (app, server) = (self.registry.name("app:1"), self.registry.address());
        let words: Vec<&str> = args
            .iter()
            .map(|&word| match word {
                "APP" => &*app,
                "SERVER" => &*server,
                word => word,
            })
            .collect();
        let commands = [
            self.ours.command(&words),
            self.ours.stock_command(&words),
            self.stock.command(DHOW, &words),
            self.stock.command("docker", &words),
        ];
        let mut outcomes = commands.into_iter().zip(self.homes()).map(|(mut command, home)| {
            fs::create_dir_all(&home).expect("made");
            let outcome = finish(command.env("HOME", &home));
            (said(&outcome, &home), outcome)
        });
        let (expected, outcome) = outcomes.next_back().expect("four");
        for (found, _) in outcomes {
            assert_eq!(found, expected, "{args:?}");
        }
        outcome
    }

    fn homes(&self) -> [PathBuf; 4] {
        ["a", "b", "c", "d"].map(|name| self.ours.path().join(name))
    }

    fn configs(&self) -> [Value; 4] {
        self.homes().map(|home| {
            let text = fs::read(home.join(".docker/config.json")).expect("written");
            serde_json::from_slice(&text).expect("JSON")
        })
    }
}

/// Exit code and words, without what differs by design.
fn said(outcome: &Outcome, home: &Path) -> (i32, String, String) {
    let masked = |text: String| text.replace(&home.display().to_string(), "HOME").replace("'dhow", "'docker");
    (outcome.code(), masked(outcome.stdout()), masked(outcome.stderr()))
}

#[test]
fn logins_with_a_token_server_are_dockers() {
    let case = Case::new();
    case.all(&["pull", "-q", "APP"]).exits(1).says("pull access denied");
    case.all(&["login", "-u", "me", "-p", "wrong", "SERVER"]).exits(1).says("incorrect username or password");
    case.all(&["login", "-u", "me", "-p", "secret", "SERVER"]).exits(0);
    let configs = case.configs();
    assert!(configs[0]["auths"][case.registry.address()]["identitytoken"].is_string(), "{}", configs[0]);
    assert!(configs.iter().all(|config| *config == configs[0]), "{configs:#?}");
    case.all(&["pull", "-q", "APP"]).exits(1).says("not found");
    for mut tag in [case.ours.command(&["tag", "busybox"]), case.stock.command("docker", &["tag", "busybox"])] {
        finish(tag.arg(case.registry.name("app:1"))).exits(0);
    }
    let pushes = [case.ours.command(&["push", "-q"]), case.stock.command("docker", &["push", "-q"])];
    for (mut push, home) in pushes.into_iter().zip([&case.homes()[0], &case.homes()[3]]) {
        let pushed = finish(push.env("HOME", home).arg(case.registry.name("app:1")));
        assert_eq!(pushed.ok(), case.registry.name("app:1"));
    }
    case.all(&["pull", "-q", "APP"]).exits(0);
    // What Docker's engine asks for, ours asks for.
    assert!(case.tokens.asked("POST /token").len() > 1);
    case.all(&["logout", "SERVER"]).exits(0);
    case.all(&["push", "-q", "APP"]).exits(1);
}
