//! Standard streams.

use rustix::fs::{FileType, fchown, fstat, makedev};
use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};

use crate::plan::{Plan, Streams};
use crate::report::{At, Outcome, Step};

/// Puts the given streams in their places, and gives them to the user the program runs as.
pub(super) fn connect(plan: &Plan<'_>) -> Outcome {
    if let Streams::Given([input, output, error]) = &plan.streams {
        dup2_stdin(input).at(Step::Stdio)?;
        dup2_stdout(output).at(Step::Stdio)?;
        dup2_stderr(error).at(Step::Stdio)?;
    }
    own(plan).at(Step::Stdio)
}

/// Changes the streams' owner: a program that opens /dev/stdout again, as many do for their log, must be allowed to.
fn own(plan: &Plan<'_>) -> Result<(), Errno> {
    let inherited = matches!(plan.streams, Streams::Inherited);
    for stream in [stdin(), stdout(), stderr()] {
        let stat = fstat(stream)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let null = kind == FileType::CharacterDevice && stat.st_rdev == makedev(1, 3);
        // Of the caller's own streams only those that have no name: never its terminal or files.
        let theirs = inherited && !matches!(kind, FileType::Fifo | FileType::Socket);
        if null || theirs || stat.st_uid == plan.process.uid.as_raw() {
            continue;
        }
        match fchown(stream, Some(plan.process.uid), None) {
            // A read-only file, or one of an owner that this user namespace does not know: it stays as it is.
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
