//! Command lines that are wrong, said as everywhere in this program: in the words of Docker's.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Answers a command line that cannot be run: help and version are asked for, anything else is told to be wrong.
#[must_use]
pub fn answer(program: &str, error: &clap::Error) -> ExitCode {
    let Some(wrong) = wrong(program, error) else {
        // That nobody reads it is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    };
    let _ = std::io::stderr().write_all(wrong.as_bytes());
    ExitCode::FAILURE
}

/// What is wrong, and where more is told; `None` for what is no error: help, and the version.
fn wrong(program: &str, error: &clap::Error) -> Option<String> {
    if !error.use_stderr() {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    // `--mtu <bytes>` and `--tls[=<tls>]`.
    let flag = argument.split([' ', '[', '=']).next().unwrap_or_default();
    let why = match error.kind() {
        ErrorKind::UnknownArgument => unknown(program, &argument),
        ErrorKind::InvalidSubcommand => format!("unknown command: {program} {}", text(ContextKind::InvalidSubcommand)),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues if value.is_empty() => {
            format!("flag needs an argument: {flag}")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("invalid argument {value:?} for {flag:?} flag{cause}")
        }
        ErrorKind::MissingRequiredArgument => format!("required: {argument}"),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is required".to_owned()
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    Some(format!("{why}\nSee '{program} --help'.\n"))
}

fn unknown(program: &str, argument: &str) -> String {
    match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
        (Some(long), _) => format!("unknown flag: --{}", long.split('=').next().unwrap_or_default()),
        (None, Some(short)) => {
            format!("unknown shorthand flag: '{}' in {argument}", short.chars().next().unwrap_or('-'))
        }
        (None, None) => format!("{program:?} does not take the argument {argument:?}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        let command = || {
            let number = Arg::new("mtu").long("mtu").value_name("bytes").value_parser(clap::value_parser!(u32));
            let create = Command::new("create").arg(Arg::new("ID").required(true));
            Command::new("x").arg(number).subcommand(create).arg(Arg::new("mode").long("mode").value_parser(["a", "b"]))
        };
        let said = |words: &str| {
            let error = command().try_get_matches_from(words.split(' ')).expect_err(words);
            wrong("dhow x", &error).map(|text| text.lines().next().unwrap_or_default().to_owned())
        };
        for (words, expected) in [
            ("x --nonsense=1", "unknown flag: --nonsense"),
            ("x -q", "unknown shorthand flag: 'q' in -q"),
            ("x --mtu", "flag needs an argument: --mtu"),
            ("x --mtu many", "invalid argument \"many\" for \"--mtu\" flag: invalid digit found in string"),
            ("x --mode c", "invalid argument \"c\" for \"--mode\" flag"),
            ("x frob", "unknown command: dhow x frob"),
            ("x create", "required: <ID>"),
        ] {
            assert_eq!(said(words).as_deref(), Some(expected), "{words}");
        }
        assert_eq!(said("x --help"), None);
    }
}
