//! The command line that ps(1) shows of this process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use crate::process::{Stat, field};

/// The place of this process's last argument, which can be overwritten: another process sees it in
/// `/proc/PID/cmdline`.
///
/// A program that is started before it is known what for gets an argument that only keeps the room.
#[derive(Debug)]
pub struct LastArgument {
    memory: File,
    start: u64,
    room: usize,
}

impl LastArgument {
    /// Finds it.
    ///
    /// # Errors
    /// Without `/proc`, or where it does not tell.
    pub fn find() -> io::Result<Self> {
        let line = fs::read("/proc/self/cmdline")?;
        let unknown = || io::Error::from(io::ErrorKind::Unsupported);
        let last =
            line.strip_suffix(b"\0").and_then(|line| line.rsplit(|byte| *byte == 0).next()).ok_or_else(unknown)?;
        let end: u64 = Stat::own()?.get(field::ARGUMENTS_END).filter(|end| *end > 0).ok_or_else(unknown)?;
        let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
        Ok(Self { memory, start: end - 1 - last.len() as u64, room: last.len() })
    }

    /// Overwrites it; what is left of its room is zero bytes.
    ///
    /// # Errors
    /// `InvalidInput` when there is not room enough; where the kernel forbids it.
    pub fn set(&self, text: &[u8]) -> io::Result<()> {
        if text.len() > self.room {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut padded = text.to_vec();
        padded.resize(self.room, 0);
        self.memory.write_all_at(&padded, self.start)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ROOM: &str = "DHOW_TEST_LAST_ARGUMENT";

    #[test]
    fn others_see_the_new_argument() {
        if std::env::var_os(ROOM).is_some() {
            let place = LastArgument::find().expect("it is found");
            place.set(b"new").expect("it is overwritten");
            assert!(place.set(&[b'x'; 1000]).is_err(), "more than there is room for");
            print!("<{}>", fs::read_to_string("/proc/self/cmdline").expect("this process").replace('\0', " "));
            return;
        }
        let own = std::env::current_exe().expect("this test");
        let arguments =
            ["title::tests::others_see_the_new_argument", "--exact", "--nocapture", "--skip", "placeholder"];
        let output = Command::new(own).args(arguments).env(ROOM, "1").output().expect("it runs");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("--nocapture --skip new         >"), "{shown}");
    }
}
