//! Errors for whoever called: in a file if one is named, in runc's two forms, and on standard error.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use dhow_errdefs::Error;
use serde_json::json;

/// Where errors go, and in which form.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<PathBuf>,
    json: bool,
}

impl Log {
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        Self {
            file: matches.get_one::<PathBuf>("log").cloned(),
            json: matches.get_one::<String>("log-format").is_some_and(|format| format == "json"),
        }
    }

    /// Reports the failure that ends this call.
    pub(crate) fn error(&self, error: &Error) {
        let message = match error.hint() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        };
        let line = self.line("error", &message);
        self.append(&line);
        // There is nowhere left to report to.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Reports what the host could not do. Into the file, if there is one: standard error is the container's too.
    pub(crate) fn warning(&self, message: &str) {
        let line = self.line("warning", message);
        match self.file {
            Some(_) => self.append(&line),
            None => {
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }

    fn append(&self, line: &str) {
        if let Some(path) = &self.file
            && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
        {
            let _ = file.write_all(line.as_bytes());
        }
    }

    fn line(&self, level: &str, message: &str) -> String {
        let time = jiff::Timestamp::now().to_string();
        if self.json {
            return format!("{}\n", json!({"level": level, "msg": message, "time": time}));
        }
        format!("time={time:?} level={level} msg={message:?}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_have_the_fields_that_podman_reads() {
        let log = Log { file: None, json: true };
        let line: serde_json::Value = serde_json::from_str(&log.line("error", "a \"quoted\" text")).unwrap();
        assert_eq!(line["level"], "error");
        assert_eq!(line["msg"], "a \"quoted\" text");
    }
}
