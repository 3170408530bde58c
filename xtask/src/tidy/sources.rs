//! Walls that show in the source text: where `unsafe`, the environment and printing may stand, and how long a file is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::Result;

/// A file should be held in the head; tables and tests are longer.
const LONGEST_FILE: usize = 1000;

/// Rooms that read no environment and print nothing (wall 5).
const SILENT: [&str; 10] =
    ["errdefs", "oci", "sys", "cgroups", "logs", "store", "image", "network", "engine", "server"];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 4] = ["utils.rs", "util.rs", "common.rs", "helpers.rs"];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        collect(&root.join(folder), &mut files).map_err(|error| format!("{folder}: {error}"))?;
    }
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file);
        check_file(name, &text, &mut faults);
    }
    Ok(faults)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(name: &Path, text: &str, faults: &mut Vec<String>) {
    let shown = name.display();
    let lines = text.lines().count();
    if lines > LONGEST_FILE && !text.contains("tidy: a table") {
        faults.push(format!("{shown}: {lines} lines; split it, or say `tidy: a table` where it is one"));
    }
    if name.file_name().is_some_and(|file| EMPTY_NAMES.iter().any(|empty| file == *empty)) {
        faults.push(format!("{shown}: a file's name says what is in it"));
    }
    let mut parts = name.components().map(|part| part.as_os_str().to_string_lossy());
    let in_crates = parts.next().is_some_and(|part| part == "crates");
    let room = parts.next().unwrap_or_default().into_owned();
    let of_tests = ["testing.rs", "tests.rs"].iter().any(|file| name.ends_with(file));
    let product = in_crates && parts.next().is_some_and(|part| part == "src") && !of_tests;
    // The bodies of tests and comments are not product code; a line is looked at up to where the tests begin.
    for (number, line) in product_lines(text) {
        let place = format!("{shown}:{number}");
        if has_unsafe(line) && room != "sys" {
            faults.push(format!("{place}: unsafe code belongs into crates/sys"));
        }
        if !product || !SILENT.contains(&room.as_str()) {
            continue;
        }
        if ["println!(", "eprintln!(", "print!(", "eprint!("].iter().any(|word| line.contains(word)) {
            faults.push(format!("{place}: this room prints nothing"));
        }
        if line.contains("env::var") {
            faults.push(format!("{place}: this room reads no environment variables"));
        }
    }
}

fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

fn has_unsafe(line: &str) -> bool {
    // In pieces, so that this line is not taken for what it looks for.
    [" {", " fn", " impl", " extern"].iter().any(|rest| line.contains(&format!("unsafe{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        check_file(Path::new(name), text, &mut faults);
        faults
    }

    #[test]
    fn unsafe_code_stands_only_in_sys() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(faults("crates/sys/src/a.rs", text).len(), 0);
        assert_eq!(faults("crates/store/src/a.rs", text).len(), 1);
        assert_eq!(faults("crates/store/src/a.rs", "// unsafe { is forbidden here }\n").len(), 0);
    }

    #[test]
    fn mechanisms_neither_print_nor_read_the_environment() {
        assert_eq!(faults("crates/engine/src/a.rs", "println!(\"x\"); std::env::var(\"X\");\n").len(), 2);
        assert_eq!(faults("crates/cli/src/a.rs", "println!(\"x\");\n").len(), 0);
    }

    #[test]
    fn long_files_and_empty_names_are_faults() {
        assert_eq!(faults("crates/cli/src/a.rs", &"\n".repeat(1001)).len(), 1);
        assert_eq!(faults("crates/cli/src/utils.rs", "").len(), 1);
    }
}
