//! The commands of a lab and what they are to print.

/// Between the outputs of two commands, with the exit code of the one before.
const MARK: &str = "@@lab-step-ended@@";

/// A lab's commands in order.
pub(crate) struct Script {
    steps: Vec<Step>,
}

/// One command and its expected output.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) expected: String,
}

/// What a command printed on both streams, and its exit code.
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) code: i32,
}

impl Script {
    pub(crate) fn parse(markdown: &str) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        let mut inside = false;
        for line in markdown.lines() {
            if line.starts_with("```") {
                inside = line == "```console";
            } else if !inside {
            } else if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), expected: String::new() });
            } else if let Some(step) = steps.last_mut() {
                match line.strip_prefix("> ") {
                    Some(more) if step.expected.is_empty() => step.command += &format!("\n{more}"),
                    _ => step.expected += &format!("{line}\n"),
                }
            }
        }
        Self { steps }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// One shell program for the whole lab: a variable set in one step is there in the next.
    pub(crate) fn shell(&self, client: &str) -> String {
        let mut text =
            String::from("exec 2>&1\ndhow() { \"$DHOW\" \"$@\"; }\nstart-engine() { eval \"$START_ENGINE\"; }\n");
        for step in &self.steps {
            text += &format!("{}\necho; echo {MARK} $?\n", with_client(&step.command, client));
        }
        text
    }
}

/// The command with another client: `dhow` as a word of its own becomes `docker`.
fn with_client(command: &str, client: &str) -> String {
    command
        .split_inclusive(|character: char| !character.is_ascii_alphanumeric() && character != '-' && character != '/')
        .map(|word| match word.strip_prefix("dhow") {
            Some(rest) if rest.len() <= 1 => format!("{client}{rest}"),
            _ => word.to_owned(),
        })
        .collect()
}

/// Cuts a lab's output into the steps'. The shell's `echo` cannot know whether a newline was due, so one is taken off.
pub(crate) fn split(stdout: &str, stderr: &str) -> Vec<Printed> {
    assert_eq!(stderr, "", "the shell itself failed");
    let mut printed = Vec::new();
    let mut text = String::new();
    for line in stdout.lines() {
        match line.strip_prefix(MARK) {
            Some(code) => {
                let code = code.trim().parse().unwrap_or(-1);
                printed.push(Printed { text: text.trim_end_matches('\n').to_owned(), code });
                text.clear();
            }
            None => text += &format!("{line}\n"),
        }
    }
    printed
}

impl Step {
    /// Whether the output is the expected one; `...` stands for any text, also none.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let expected = self.expected.trim_end_matches('\n');
        let mut pieces = expected.split("...");
        let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
        let mut last = None;
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
            last = Some(piece);
        }
        match last {
            None => rest.is_empty(),
            Some(piece) => rest.is_empty() || piece.is_empty() || text.ends_with(piece),
        }
    }
}

#[test]
fn commands_expectations_and_placeholders() {
    let script = Script::parse("text\n```console\n$ a dhow b\n> c\nout ...\nend\n$ d\n```\n```sh\n$ not run\n```\n");
    assert_eq!(script.steps().len(), 2);
    assert_eq!(script.steps()[0].command, "a dhow b\nc");
    assert!(script.steps()[0].matches("out 1 2\nend"));
    assert!(!script.steps()[0].matches("out 1 2\nend of it\nno"));
    assert!(script.steps()[1].matches("") && !script.steps()[1].matches("x"));
    assert_eq!(with_client("dhow run my-dhow dhow/x $(dhow ps)", "docker"), "docker run my-dhow dhow/x $(docker ps)");
}
