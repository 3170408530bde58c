//! A file server that stops answering, as a dead NFS server does: a file system in user space, spoken over `/dev/fuse`
//! (Linux, include/uapi/linux/fuse.h).

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

const GETATTR: u32 = 3;
const INIT: u32 = 26;
const DIRECTORY: u32 = 0o040_755;

/// A mounted folder. Its server knows the folder itself, and takes every question about what is in it without ever
/// answering: whoever asks cannot be ended by any signal, until this is dropped.
pub(super) struct HungMount {
    target: PathBuf,
    /// Not even the folder itself is known any more.
    dead: Arc<AtomicBool>,
    /// Somebody waits for an answer that will not come.
    asked: Arc<AtomicBool>,
    connection: u32,
    server: Option<JoinHandle<()>>,
}

impl HungMount {
    pub(super) fn at(target: &Path) -> Self {
        fs::create_dir(target).expect("a new folder");
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("the kernel has FUSE");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = CString::new(options).expect("no NUL");
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("hung", target, "fuse", flags, Some(options.as_c_str())).expect("tests run as root");
        let dead = Arc::new(AtomicBool::new(false));
        let asked = Arc::default();
        let (told, tells) = (Arc::clone(&dead), Arc::clone(&asked));
        let server = thread::spawn(move || serve(device, &told, &tells));
        let stat = rustix::fs::stat(target).expect("the server knows its root");
        let connection = rustix::fs::minor(stat.st_dev);
        Self { target: target.to_owned(), dead, asked, connection, server: Some(server) }
    }

    /// Whether somebody waits for an answer that will not come.
    pub(super) fn has_questions(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on nothing is answered.
    pub(super) fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        // Every question that is open is answered with an error, and the server's read ends.
        let control = Path::new("/sys/fs/fuse/connections");
        if !control.join("0").exists() && fs::read_dir(control).is_ok_and(|mut entries| entries.next().is_none()) {
            // Mounted nowhere else: fusectl may be mounted twice.
            let _ = mount("fusectl", control, "fusectl", MountFlags::empty(), None);
        }
        fs::write(control.join(self.connection.to_string()).join("abort"), "1").expect("the connection is ours");
        self.server.take().map(JoinHandle::join).transpose().expect("the server does not panic");
        unmount(&self.target, UnmountFlags::DETACH).expect("it is mounted");
    }
}

fn serve(mut device: File, dead: &AtomicBool, asked: &AtomicBool) {
    let mut request = vec![0; 1 << 17];
    while let Ok(length) = device.read(&mut request) {
        let word = |at: usize| request[at..at + 4].try_into().map(u32::from_le_bytes).expect("four bytes");
        assert!(length >= 40, "a request has a head");
        let answer = match word(4) {
            INIT => init(),
            GETATTR if !dead.load(Ordering::Relaxed) => attributes(),
            _ => {
                asked.store(true, Ordering::Relaxed);
                continue;
            }
        };
        let length = u32::try_from(answer.len() + 16).expect("short");
        // Length, no error, the number of the question.
        let mut bytes = [length.to_le_bytes(), [0; 4]].concat();
        bytes.extend(&request[8..16]);
        bytes.extend(answer);
        device.write_all(&bytes).expect("the kernel takes it");
    }
}

/// `struct fuse_init_out` of version 7.31.
fn init() -> Vec<u8> {
    let mut words = vec![7_u32, 31, 0, 0, 0, 4096, 1];
    words.resize(16, 0);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `struct fuse_attr_out` of the root, good for no time at all.
fn attributes() -> Vec<u8> {
    let mut words = vec![0_u32; 26];
    // After the time come inode number, sizes and times; mode and links are the words 19 and 20.
    words[4] = 1;
    (words[19], words[20]) = (DIRECTORY, 2);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}
