//! Host name and environment of a container's processes.

use std::collections::HashMap;

use crate::spec::ContainerSpec;

/// The search path of programs where image and request name none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's host name: as asked for, else the beginning of its id.
pub(crate) fn hostname(spec: &ContainerSpec, id: &str) -> String {
    if spec.hostname.is_empty() { id.chars().take(12).collect() } else { spec.hostname.clone() }
}

/// The environment of the first process, `HOME` included.
pub(crate) fn of(spec: &ContainerSpec, id: &str, home: &str) -> Vec<String> {
    let mut base = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", hostname(spec, id))];
    if spec.tty {
        base.push("TERM=xterm".to_owned());
    }
    let environment = merge(base, &spec.env);
    with_home(environment, home)
}

/// `HOME` of the user, unless somebody has set it.
pub(crate) fn with_home(mut environment: Vec<String>, home: &str) -> Vec<String> {
    if !environment.iter().any(|variable| variable.starts_with("HOME=")) {
        environment.push(format!("HOME={}", if home.is_empty() { "/" } else { home }));
    }
    environment
}

/// Puts `changes` over `base`: a known name is replaced in its place, a new one added, a name without `=` taken out.
pub(crate) fn merge(base: Vec<String>, changes: &[String]) -> Vec<String> {
    let mut merged: Vec<Option<String>> = Vec::with_capacity(base.len() + changes.len());
    // Where each name is: a request may name a hundred thousand.
    let mut places: HashMap<String, usize> = HashMap::new();
    for variable in base.into_iter().chain(changes.iter().cloned()) {
        let (name, is_set) = variable.split_once('=').map_or((&*variable, false), |(name, _)| (name, true));
        match places.get(name) {
            Some(&place) if is_set => merged[place] = Some(variable),
            Some(&place) => {
                merged[place] = None;
                places.remove(&variable);
            }
            None if is_set => {
                places.insert(name.to_owned(), merged.len());
                merged.push(Some(variable));
            }
            None => {}
        }
    }
    merged.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_variable_counts_and_keeps_its_place() {
        let base = vec!["A=1".to_owned(), "B=2".to_owned()];
        let changes = ["B=3".to_owned(), "A".to_owned(), "C=x=y".to_owned(), "D".to_owned()];
        assert_eq!(merge(base, &changes), ["B=3", "C=x=y"]);
    }

    #[test]
    fn a_terminal_has_a_type_and_everybody_a_home() {
        let spec = ContainerSpec { tty: true, env: vec!["PATH=/bin".into()], ..ContainerSpec::default() };
        let id = "0123456789abcdef";
        assert_eq!(of(&spec, id, "/root"), ["PATH=/bin", "HOSTNAME=0123456789ab", "TERM=xterm", "HOME=/root"]);
        let spec = ContainerSpec { env: vec!["HOME=/x".into()], hostname: "h".into(), ..ContainerSpec::default() };
        assert_eq!(of(&spec, id, "/root")[1..], ["HOSTNAME=h", "HOME=/x"]);
    }
}
