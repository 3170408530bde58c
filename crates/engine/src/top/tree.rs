//! Processes under their parents.

use super::process::Process;

/// How a tree is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// `f` and `--forest`: with branches.
    Drawn,
    /// `-H`: two blanks for each generation.
    Blank,
}

/// Orders rows so that each stands below its parent, and says what is to stand before its command.
pub(super) fn grow(rows: &mut Vec<Process>, lines: Lines) {
    let mut left = std::mem::take(rows);
    let is_there = |left: &[Process], parent: i64| left.iter().any(|process| i64::from(process.pid) == parent);
    let roots: Vec<i32> =
        left.iter().filter(|process| !is_there(&left, process.parent())).map(|process| process.pid).collect();
    for root in roots {
        add(rows, &mut left, root, &mut Vec::new(), lines);
    }
    // What is its own ancestor cannot be: pids were used again while they were read.
    rows.append(&mut left);
}

/// Adds a process and all below it. `path` says of each generation whether it has younger ones.
fn add(rows: &mut Vec<Process>, left: &mut Vec<Process>, pid: i32, path: &mut Vec<bool>, lines: Lines) {
    let own: Vec<Process> = left.extract_if(.., |process| process.pid == pid).collect();
    let indent = indent(path, lines);
    rows.extend(own.into_iter().map(|mut process| {
        process.indent.clone_from(&indent);
        process
    }));
    let mut children: Vec<i32> =
        left.iter().filter(|process| process.parent() == i64::from(pid)).map(|process| process.pid).collect();
    children.dedup();
    let last = children.last().copied();
    for child in children {
        path.push(Some(child) != last);
        add(rows, left, child, path, lines);
        path.pop();
    }
}

fn indent(path: &[bool], lines: Lines) -> String {
    let Some((_, before)) = path.split_last() else { return String::new() };
    match lines {
        Lines::Blank => "  ".repeat(path.len()),
        Lines::Drawn => {
            let branches: String = before.iter().map(|more| if *more { " |  " } else { "    " }).collect();
            format!("{branches} \\_ ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_below_its_parent() {
        let process = |pid: i32, parent: i32| Process::for_tree(pid, parent);
        let family = || vec![process(1, 99), process(2, 1), process(3, 1), process(4, 2), process(5, 3)];
        let drawn = |lines| {
            let mut rows = family();
            grow(&mut rows, lines);
            rows.iter().map(|process| format!("{}{}", process.indent, process.pid)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(Lines::Drawn), ["1", " \\_ 2", " |   \\_ 4", " \\_ 3", "     \\_ 5"]);
        assert_eq!(drawn(Lines::Blank), ["1", "  2", "    4", "  3", "    5"]);
    }
}
