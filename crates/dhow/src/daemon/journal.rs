//! The log of an engine that was started on demand: nobody else would ever shorten it.

use std::fs::{self, File};
use std::io::{self, Stderr, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::fstat;
use tracing_subscriber::fmt::MakeWriter;

/// At this length (in bytes) the file makes room for a new one. The one before it is kept, so there are twice as many.
const LIMIT: i64 = 4 << 20;

/// Standard error, where it is a file of ours.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Whoever writes the line that is too much; the others go on.
    turning: Mutex<()>,
}

impl Journal {
    /// The file at that path, if that is where standard error goes.
    pub(crate) fn at(path: PathBuf) -> Option<Self> {
        let (here, there) = (fstat(io::stderr()).ok()?, fs::metadata(&path).ok()?);
        ((here.st_dev, here.st_ino) == (there.dev(), there.ino())).then(|| Self { path, turning: Mutex::new(()) })
    }

    /// Puts the file aside if it is long enough, and begins a new one.
    fn turn(&self) -> io::Result<()> {
        let _turn = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        if fstat(io::stderr())?.st_size < LIMIT {
            return Ok(());
        }
        fs::rename(&self.path, before(&self.path))?;
        let new = open(&self.path)?;
        Ok(rustix::stdio::dup2_stderr(new)?)
    }
}

/// Opens the log for writing at its end, or makes it.
///
/// # Errors
/// What open(2) says.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(0o600).open(path)
}

/// Where a log goes that is full.
fn before(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { stderr: io::stderr(), journal: self }
    }
}

/// One line.
pub(crate) struct Line<'a> {
    stderr: Stderr,
    journal: &'a Journal,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let written = self.stderr.write(text)?;
        if fstat(&self.stderr).is_ok_and(|file| file.st_size >= LIMIT) {
            // Where it cannot be put aside, a long log is better than none.
            let _ = self.journal.turn();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stderr.flush()
    }
}
