//! Into a container.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use dhow_archive::{Packer, Plain};
use dhow_client::{Client, Extraction, Upload};
use dhow_errdefs::{Error, Result, ResultExt};

use super::paths::{self, Place};
use super::{Copy, done};
use crate::failure::Outcome;
use crate::session::Session;

pub(super) async fn run(session: &Session, copy: &Copy<'_>) -> Outcome {
    let input = (copy.source != "-").then(|| paths::local(copy.source)).transpose()?;
    let client = session.client().await?;
    let destination = destination(client, copy).await?;
    let how = Extraction { users: copy.users, replaces_kinds: false };
    let Some(input) = input else {
        if !destination.is_folder {
            let shown = format!("{}:{}", copy.container, copy.destination);
            return Err(Error::invalid(format!("destination {shown:?} must be a directory")).into());
        }
        let archive = Upload::from_reader(io::stdin());
        client.container_copy_in(copy.container, &destination.path, how, archive).await?;
        return Ok(0);
    };
    let source = paths::source(&input, copy.follow)?;
    let (folder, name) = paths::arrange(&source, &destination)?;
    let own = || source.name.clone().unwrap_or_else(|| paths::split(&source.path).1);
    let (packing, report) = Packing::start(source.path.clone(), name.unwrap_or_else(own))?;
    // Docker names a folder without a slash at its end, in errors above all.
    let folder = match folder.trim_end_matches('/') {
        // Paths in a container begin at its root.
        "" => "/",
        folder => folder,
    };
    let sent = client.container_copy_in(copy.container, folder, how, Upload::from_reader(packing)).await;
    if let Some(error) = report.failure() {
        return Err(error.into());
    }
    sent?;
    done(copy, report.bytes.load(Ordering::Relaxed), &format!("{}:{}", copy.container, destination.path));
    Ok(0)
}

/// What is at the destination; what cannot be looked at is taken as something that is to be made.
async fn destination(client: &Client, copy: &Copy<'_>) -> Result<Place> {
    let mut path = copy.destination.to_owned();
    let mut stat = client.container_path_stat(copy.container, &path).await;
    if let Ok(found) = &stat
        && found.mode.is_link()
    {
        path = paths::beside(&path, &found.link_target);
        stat = client.container_path_stat(copy.container, &path).await;
    }
    let Ok(found) = stat else { return Ok(Place { path, ..Place::default() }) };
    if found.mode.is_device() {
        let shown = format!("{}:{}", copy.container, copy.destination);
        let text = format!("destination {shown:?} must be a directory or a regular file: got a device");
        return Err(Error::invalid(text));
    }
    Ok(Place { path, exists: true, is_folder: found.mode.is_folder(), name: None })
}

/// An archive that a thread makes while it is read.
struct Packing {
    pipe: PipeReader,
    report: Arc<Report>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// What is known of it in the end.
#[derive(Default)]
struct Report {
    bytes: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Report {
    fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Packing {
    fn start(path: String, name: String) -> Result<(Self, Arc<Report>)> {
        let (pipe, writer) = io::pipe().context(|| "make a pipe")?;
        let report = Arc::new(Report::default());
        let thread = thread::spawn(move || pack(&path, &name, BufWriter::with_capacity(128 << 10, writer)));
        Ok((Self { pipe, report: Arc::clone(&report), thread: Some(thread) }, report))
    }
}

impl Read for Packing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.pipe.read(buffer)?;
        self.report.bytes.fetch_add(length as u64, Ordering::Relaxed);
        if length == 0 && !buffer.is_empty() {
            let died = |_| Err(Error::internal("the thread that packs died"));
            if let Some(Err(error)) = self.thread.take().map(|thread| thread.join().unwrap_or_else(died)) {
                // The request must not end as if this were all.
                *self.report.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(length)
    }
}

fn pack(path: &str, name: &str, out: impl Write) -> Result<()> {
    let mut packer = Packer::new(out, &Plain);
    let (folder, last) = paths::split(path);
    let folder = if folder.is_empty() { "." } else { folder.as_str() };
    let open = |path: &str| File::open(path).context(|| format!("open {path}"));
    if matches!(last.as_str(), "" | ".") {
        packer.folder(open(folder)?.into(), if name.is_empty() { b"." } else { name.as_bytes() })?;
    } else {
        let parent = open(folder)?;
        let last = CString::new(last).map_err(io::Error::from).context(|| format!("open {path}"))?;
        packer.thing(parent.as_fd(), &last, name.as_bytes())?;
    }
    packer.finish().map(drop)
}
