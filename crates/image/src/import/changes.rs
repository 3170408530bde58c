//! Dockerfile instructions that change a config: what `import -c` and `commit -c` take (Dockerfile reference).

use dhow_errdefs::{Error, Result};
use dhow_oci::{Empty, Healthcheck, RunConfig};

use super::words;
use crate::time;

/// The shell of commands in their shell form.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The config that these instructions make out of another one.
pub(crate) fn apply_to(mut run: RunConfig, changes: &[String]) -> Result<RunConfig> {
    let mut has_command = false;
    for line in changes.iter().flat_map(|change| lines(change)) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let word = word.to_ascii_uppercase();
        instruction(&mut run, &word, rest.trim())?;
        has_command |= word == "CMD";
        // Arguments of another program mean nothing to this one.
        if word == "ENTRYPOINT" && !has_command {
            run.cmd = None;
        }
    }
    Ok(run)
}

/// Lines with their continuations, without empty ones and comments.
fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn instruction(run: &mut RunConfig, word: &str, rest: &str) -> Result<()> {
    let known = [
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "ONBUILD",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    if !known.contains(&word) {
        return Err(Error::invalid(format!("{} is not a valid change command", word.to_ascii_lowercase())));
    }
    if rest.is_empty() && !matches!(word, "CMD" | "ENTRYPOINT") {
        return Err(Error::invalid(format!("{word} requires at least one argument")));
    }
    let environment = run.env.clone().unwrap_or_default();
    let lookup = move |name: &str| {
        let variable = environment.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
        variable.map(str::to_owned)
    };
    let expanded = || words::expand(rest, &lookup);
    match word {
        "CMD" => run.cmd = Some(command(rest)),
        "ENTRYPOINT" => run.entrypoint = Some(command(rest)),
        "ENV" => pairs("ENV", rest, &lookup)?.into_iter().for_each(|(name, value)| set_variable(run, &name, &value)),
        "LABEL" => run.labels.get_or_insert_default().extend(pairs("LABEL", rest, &lookup)?),
        "EXPOSE" => expose(run, &words::split(rest, &lookup)?)?,
        "VOLUME" => volumes(run, rest, &lookup)?,
        "USER" => run.user = expanded()?,
        "WORKDIR" => run.working_dir = below(&run.working_dir, &expanded()?),
        "STOPSIGNAL" => run.stop_signal = Some(expanded()?),
        "HEALTHCHECK" => run.healthcheck = Some(healthcheck(rest)?),
        _ => run.on_build.get_or_insert_default().push(on_build(rest)?),
    }
    Ok(())
}

/// A JSON list of words, or a line for the shell.
fn command(rest: &str) -> Vec<String> {
    let shell = || SHELL.iter().map(|word| (*word).to_owned()).chain([rest.to_owned()]).collect();
    json(rest).unwrap_or_else(shell)
}

fn json(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str(rest).ok()
}

/// `NAME=value …`, or in the old form `NAME value`.
fn pairs(word: &str, rest: &str, lookup: words::Lookup) -> Result<Vec<(String, String)>> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::invalid(format!("{word} must have two arguments")))?;
        return Ok(vec![(words::expand(name, lookup)?, words::expand(value, lookup)?)]);
    }
    let pair = |text: String| match text.split_once('=') {
        Some(("", _)) => Err(Error::invalid(format!("{word} names can not be blank"))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => {
            Err(Error::invalid(format!("Syntax error - can't find = in {text:?}. Must be of the form: name=value")))
        }
    };
    words::split(rest, lookup)?.into_iter().map(pair).collect()
}

fn set_variable(run: &mut RunConfig, name: &str, value: &str) {
    let variable = format!("{name}={value}");
    let variables = run.env.get_or_insert_default();
    let same = |other: &&mut String| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    match variables.iter_mut().find(same) {
        Some(known) => *known = variable,
        None => variables.push(variable),
    }
}

/// `port[-port][/protocol]`.
fn expose(run: &mut RunConfig, ports: &[String]) -> Result<()> {
    for port in ports {
        let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().ok();
        let protocol = protocol.to_ascii_lowercase();
        let good = matches!(protocol.as_str(), "tcp" | "udp" | "sctp");
        let range = number(first).zip(number(last)).filter(|(first, last)| good && first <= last);
        let (first, last) = range.ok_or_else(|| Error::invalid(format!("invalid containerPort: {port}")))?;
        let ports = (first..=last).map(|port| (format!("{port}/{protocol}"), Empty {}));
        run.exposed_ports.get_or_insert_default().extend(ports);
    }
    Ok(())
}

fn volumes(run: &mut RunConfig, rest: &str, lookup: words::Lookup) -> Result<()> {
    let paths = match json(rest) {
        Some(paths) => paths,
        None => words::split(rest, lookup)?,
    };
    if paths.iter().any(|path| path.trim().is_empty()) {
        return Err(Error::invalid("VOLUME specified can not be an empty string"));
    }
    run.volumes.get_or_insert_default().extend(paths.into_iter().map(|path| (path.trim().to_owned(), Empty {})));
    Ok(())
}

/// A working folder, relative to the one before it.
fn below(before: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{before}/{path}") };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn on_build(rest: &str) -> Result<String> {
    let word = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match word.as_str() {
        "ONBUILD" => Err(Error::invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        "MAINTAINER" | "FROM" => Err(Error::invalid(format!("{word} isn't allowed as an ONBUILD trigger"))),
        _ => Ok(rest.to_owned()),
    }
}

/// `NONE`, or `[--interval=…] … CMD command`.
fn healthcheck(rest: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = rest;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        option(&mut check, flag)?;
        rest = after.trim_start();
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match (word.to_ascii_uppercase().as_str(), command.trim()) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("NONE", _) => return Err(Error::invalid("HEALTHCHECK NONE takes no arguments")),
        ("CMD", "") => return Err(Error::invalid("Missing command after HEALTHCHECK CMD")),
        ("CMD", command) => match json(command) {
            Some(words) => [vec!["CMD".to_owned()], words].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        (word, _) => return Err(Error::invalid(format!("Unknown type {word:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

fn option(check: &mut Healthcheck, flag: &str) -> Result<()> {
    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
    let bad = || Error::invalid(format!("HEALTHCHECK: invalid value {value:?} of --{name}"));
    if name == "retries" {
        check.retries = value.parse().ok().filter(|retries| *retries >= 1).ok_or_else(bad)?;
        return Ok(());
    }
    let place = match name {
        "interval" => &mut check.interval,
        "timeout" => &mut check.timeout,
        "start-period" => &mut check.start_period,
        "start-interval" => &mut check.start_interval,
        _ => return Err(Error::invalid(format!("Unknown flag: {name}"))),
    };
    // Docker refuses times below a millisecond, but for 0, which means the default.
    let time = time::go_duration(value).and_then(|time| i64::try_from(time.as_nanos()).ok());
    *place = time.filter(|time| *time == 0 || *time >= 1_000_000).ok_or_else(bad)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply_all(changes: &[&str]) -> Result<RunConfig> {
        let changes: Vec<_> = changes.iter().map(|change| (*change).to_owned()).collect();
        apply_to(RunConfig::default(), &changes)
    }

    fn json_of(changes: &[&str]) -> String {
        serde_json::to_string(&apply_all(changes).unwrap()).unwrap()
    }

    #[test]
    fn instructions_make_a_config() {
        assert_eq!(json_of(&["CMD [\"sh\"]"]), r#"{"Cmd":["sh"]}"#);
        assert_eq!(json_of(&["cmd echo $A"]), r#"{"Cmd":["/bin/sh","-c","echo $A"]}"#);
        assert_eq!(json_of(&["ENTRYPOINT [\"/a\",\"b\"]"]), r#"{"Entrypoint":["/a","b"]}"#);
        assert_eq!(json_of(&["ENV A=1 B=\"x y\"", "ENV C $A/$B", "ENV A=2"]), r#"{"Env":["A=2","B=x y","C=1/x y"]}"#);
        assert_eq!(json_of(&["LABEL a=b c=d"]), r#"{"Labels":{"a":"b","c":"d"}}"#);
        assert_eq!(
            json_of(&["EXPOSE 80 53/udp 90-91"]),
            r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{},"90/tcp":{},"91/tcp":{}}}"#
        );
        assert_eq!(json_of(&["VOLUME /a /b", "VOLUME [\"/c d\"]"]), r#"{"Volumes":{"/a":{},"/b":{},"/c d":{}}}"#);
        assert_eq!(json_of(&["WORKDIR /a", "WORKDIR b/../c"]), r#"{"WorkingDir":"/a/c"}"#);
        assert_eq!(json_of(&["USER me:us\nSTOPSIGNAL SIGINT"]), r#"{"User":"me:us","StopSignal":"SIGINT"}"#);
        assert_eq!(json_of(&["ONBUILD RUN x"]), r#"{"OnBuild":["RUN x"]}"#);
        assert_eq!(json_of(&["# nothing", "", "ENV A=\\\n1"]), r#"{"Env":["A=1"]}"#);
    }

    #[test]
    fn health_checks_have_options() {
        assert_eq!(
            json_of(&["HEALTHCHECK --interval=5s --retries=3 --start-interval=1ms CMD curl x"]),
            r#"{"Healthcheck":{"Test":["CMD-SHELL","curl x"],"Interval":5000000000,"StartInterval":1000000,"Retries":3}}"#
        );
        assert_eq!(json_of(&["HEALTHCHECK CMD [\"a\"]"]), r#"{"Healthcheck":{"Test":["CMD","a"]}}"#);
        assert_eq!(json_of(&["HEALTHCHECK NONE"]), r#"{"Healthcheck":{"Test":["NONE"]}}"#);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for (change, message) in [
            ("RUN x", "run is not a valid change command"),
            ("ENV", "ENV requires at least one argument"),
            ("ENV A", "ENV must have two arguments"),
            ("ENV =x", "ENV names can not be blank"),
            ("LABEL a=b c", "Syntax error - can't find = in \"c\""),
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 99999", "invalid containerPort: 99999"),
            ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD"),
            ("HEALTHCHECK --interval=1 CMD x", "invalid value"),
            ("HEALTHCHECK WHAT", "Unknown type"),
            ("USER \"x", "unexpected end of statement"),
        ] {
            let error = apply_all(&[change]).unwrap_err().to_string();
            assert!(error.contains(message), "{change}: {error}");
        }
    }
}
