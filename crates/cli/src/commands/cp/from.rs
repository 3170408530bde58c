//! Out of a container.

use std::fs::File;
use std::io::{self, BufReader, Read, Write, stdout};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dhow_archive::{Archive, Owner, Rules, unpack};
use dhow_client::{Bytestream, Client};
use dhow_errdefs::{Error, Result, ResultExt};

use super::paths::{self, Place};
use super::{Copy, done};
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Pieces that may wait for a slow disk.
const WAITING: usize = 8;

pub(super) async fn run(session: &Session, copy: &Copy<'_>) -> Outcome {
    let output = (copy.destination != "-").then(|| paths::local(copy.destination)).transpose()?;
    output.as_deref().map(paths::check_output).transpose()?;
    let client = session.client().await?;
    let (path, name) = if copy.follow { follow(client, copy).await } else { (copy.source.to_owned(), None) };
    let (archive, stat) = client.container_copy_out(copy.container, &path).await?;
    let source = Place { path, exists: true, is_folder: stat.mode.is_folder(), name };
    match output {
        None => print(archive).await?,
        Some(output) => {
            let bytes = place(archive, &source, &output).await?;
            done(copy, bytes, &output);
        }
    }
    Ok(0)
}

/// What the source leads to, if it is a link. What cannot be looked at is told when it is read.
async fn follow(client: &Client, copy: &Copy<'_>) -> (String, Option<String>) {
    match client.container_path_stat(copy.container, copy.source).await {
        Ok(stat) if stat.mode.is_link() => paths::instead(copy.source, &paths::beside(copy.source, &stat.link_target)),
        _ => (copy.source.to_owned(), None),
    }
}

async fn print(mut archive: Bytestream) -> Result<(), Failure> {
    let mut out = stdout().lock();
    while let Some(piece) = archive.next().await? {
        out.write_all(&piece)?;
    }
    out.flush()?;
    Ok(())
}

/// Unpacks on a thread of its own while the archive arrives; returns its bytes.
async fn place(mut archive: Bytestream, source: &Place, output: &str) -> Result<u64> {
    let destination = paths::destination(output)?;
    let (folder, name) = paths::arrange(source, &destination)?;
    // The archive's names begin with the last component of the path that was asked for.
    let first = match paths::base(&source.path) {
        "/" => "",
        base => base,
    };
    let renamed = name.or_else(|| source.name.clone());
    let rename = renamed.map(|name| (first.as_bytes().to_vec(), name.into_bytes()));
    let root = File::open(&folder).context(|| format!("open {folder}"))?;
    let shown = paths::clean(&folder);
    let (pieces, waiting) = sync_channel(WAITING);
    let unpacking = thread::spawn(move || {
        let rules = Rules { owner: Owner::Caller, keeps_kinds: true, rename, exact: false, shown };
        let input = BufReader::with_capacity(128 << 10, Pieces { waiting, piece: Vec::new(), at: 0 });
        unpack(&mut Archive::new(input, false), root.as_fd(), b"", &rules)
    });
    let sent = send(&mut archive, &pieces).await;
    drop(pieces);
    let unpacked = unpacking.join().unwrap_or_else(|_| Err(Error::internal("the thread that unpacks died")));
    // An archive that was cut is why unpacking failed, not the other way round.
    let bytes = sent?;
    unpacked.map(|()| bytes)
}

async fn send(archive: &mut Bytestream, pieces: &SyncSender<Vec<u8>>) -> Result<u64> {
    let mut bytes = 0;
    while let Some(piece) = archive.next().await? {
        bytes += piece.len() as u64;
        if pieces.send(piece.to_vec()).is_err() {
            // Whoever unpacks has given up, or is at the end; it says what it is.
            break;
        }
    }
    Ok(bytes)
}

/// The archive, as it arrives.
struct Pieces {
    waiting: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.waiting.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
