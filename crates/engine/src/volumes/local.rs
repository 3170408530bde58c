//! The local driver's options `type`, `o` and `device`: a volume whose content is on a file system of its own.

mod share;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::loop_device;
use dhow_sys::mount::{self, Change};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

/// fsconfig(2) takes no longer value.
const LONGEST_VALUE: usize = 255;

/// What is mounted as the content of a volume.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileSystem {
    kind: String,
    device: String,
    /// `o` as it was given.
    text: String,
    /// A folder of the host, and whether what is mounted below it comes along.
    bind: Option<bool>,
    looped: bool,
    change: Change,
    /// Parameters of the file system.
    data: Vec<String>,
}

/// Refuses options that nobody knows and those that lack another one, in Docker's words.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<()> {
    for name in options.keys() {
        match name.as_str() {
            "type" | "o" | "device" => {}
            "size" => return Err(Error::invalid("quota size requested but no quota support")),
            _ => return Err(Error::invalid(format!("invalid option: {name:?}"))),
        }
    }
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    if let Some(word) = words.split(',').map(str::trim).find(|word| matches!(*word, "unbindable" | "runbindable")) {
        // Docker takes it, and no container with such a volume can be started.
        return Err(Error::invalid(format!("option o={word}: what cannot be bound cannot be given to a container")));
    }
    for (name, needed) in [("device", "type"), ("type", "device"), ("o", "device"), ("o", "type")] {
        if options.contains_key(name) && !options.contains_key(needed) {
            return Err(Error::invalid(format!("missing required option: {needed:?}")));
        }
    }
    Ok(())
}

impl FileSystem {
    pub(super) fn of(options: &BTreeMap<String, String>) -> Self {
        let option = |name: &str| options.get(name).cloned().unwrap_or_default();
        let (kind, device, text) = (option("type"), option("device"), option("o"));
        let mut this = Self {
            bind: (kind == "bind").then_some(false),
            kind,
            device,
            looped: false,
            change: Change::default(),
            data: Vec::new(),
            text: text.clone(),
        };
        text.split(',').for_each(|word| this.word(word.trim()));
        this
    }

    fn word(&mut self, word: &str) {
        let change = &mut self.change;
        match word {
            "" | "defaults" | "_netdev" | "auto" | "noauto" | "user" | "nofail" | "norelatime" => {}
            "bind" => self.bind = Some(false),
            "rbind" => self.bind = Some(true),
            "loop" => self.looped = true,
            "ro" => change.set |= mount::RDONLY,
            "rw" => change.set &= !mount::RDONLY,
            "nosuid" => change.set |= mount::NOSUID,
            "nodev" => change.set |= mount::NODEV,
            "noexec" => change.set |= mount::NOEXEC,
            "suid" => change.set &= !mount::NOSUID,
            "dev" => change.set &= !mount::NODEV,
            "exec" => change.set &= !mount::NOEXEC,
            "nodiratime" => change.set |= mount::NODIRATIME,
            "diratime" => change.set &= !mount::NODIRATIME,
            "atime" => self.not_access_times(mount::NOATIME),
            "nostrictatime" => self.not_access_times(mount::STRICTATIME),
            "noatime" => self.access_times(mount::NOATIME),
            "strictatime" => self.access_times(mount::STRICTATIME),
            "relatime" => self.access_times(mount::RELATIME),
            "private" | "rprivate" => change.propagation = mount::PRIVATE,
            "shared" | "rshared" => change.propagation = mount::SHARED,
            "slave" | "rslave" => change.propagation = mount::SLAVE,
            _ => self.data.push(word.to_owned()),
        }
    }

    fn access_times(&mut self, wanted: u64) {
        self.change.set = (self.change.set & !mount::ATIME_FIELD) | wanted;
        self.change.clear |= mount::ATIME_FIELD;
    }

    /// Takes a setting back, if it was made.
    fn not_access_times(&mut self, unwanted: u64) {
        if self.change.set & mount::ATIME_FIELD == unwanted {
            self.access_times(mount::RELATIME);
        }
    }

    fn is_read_only(&self) -> bool {
        self.change.set & mount::RDONLY != 0
    }

    /// Mounts it on a folder; blocks for as long as a file server takes.
    ///
    /// # Errors
    /// Docker's words, with the option that is wrong and why.
    pub(super) fn mount(&self, target: &Path) -> Result<()> {
        let step = || {
            let (device, shown) = (&self.device, target.display());
            let data =
                if self.text.is_empty() { String::new() } else { format!(", data: {}", share::shown(&self.text)) };
            format!(
                "error while mounting volume '{shown}': failed to mount local volume: mount {device}, type: {}{data}",
                self.kind
            )
        };
        // A loop device lives until it is mounted, and then as long as it is.
        let (tree, _device) = match self.bind {
            Some(recursive) => (self.folder(recursive).context(step)?, None),
            None => {
                let device = self.loop_device().context(step)?;
                let source = device.as_ref().map_or(Path::new(&self.device), |device| &device.path);
                (self.fresh(source).context(step)?, device)
            }
        };
        if !self.change.is_empty() {
            mount::set_attributes(&tree, self.change, false)
                .context(|| format!("option o={}", share::shown(&self.text)))
                .context(step)?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = openat(CWD, target, flags, Mode::empty()).map_err(io::Error::from).context(step)?;
        mount::attach(tree, place).context(step)
    }

    fn folder(&self, recursive: bool) -> Result<OwnedFd> {
        let step = || format!("option device={}", self.device);
        if !self.device.starts_with('/') {
            return Err(Error::invalid(format!("{}: a folder of the host is named by an absolute path", step())));
        }
        let folder = openat(CWD, &*self.device, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(io::Error::from).context(step)?;
        mount::clone_tree(folder, recursive).context(step)
    }

    /// A device for a file system that lies in a file.
    fn loop_device(&self) -> Result<Option<loop_device::LoopDevice>> {
        let step = || format!("option device={}", self.device);
        if !self.looped && !std::fs::metadata(&self.device).is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let file = File::options().read(true).write(!self.is_read_only()).open(&self.device).context(step)?;
        if file.metadata().context(step)?.file_type().is_block_device() {
            return Ok(None);
        }
        loop_device::of_file(&file, self.is_read_only()).map(Some).context(step)
    }

    fn fresh(&self, source: &Path) -> Result<OwnedFd> {
        let of_type = |error: Errno| match error {
            Errno::NODEV if self.kind == "none" && Path::new(&self.device).is_dir() => {
                Error::invalid("option type=none is no file system").with_hint("for a folder of the host: o=bind")
            }
            Errno::NODEV => Error::invalid(format!("option type={}: this kernel has no such file system", self.kind)),
            error => failed(error, format!("option type={}", self.kind), None),
        };
        let context = fsopen(&*self.kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(of_type)?;
        fsconfig_set_string(&context, "source", source)
            .map_err(|error| failed(error, format!("option device={}", self.device), Some(&context)))?;
        if self.is_read_only() {
            let _ = fsconfig_set_flag(&context, "ro");
        }
        for word in share::parameters(&self.kind, &self.device, &self.data)? {
            let set = match word.split_once('=') {
                Some((_, value)) if value.len() > LONGEST_VALUE => Err(Errno::TOOBIG),
                Some((name, value)) => fsconfig_set_string(&context, name, value),
                None => fsconfig_set_flag(&context, &*word),
            };
            set.map_err(|error| failed(error, format!("option o: {}", share::shown(&word)), Some(&context)))?;
        }
        let made = fsconfig_create(&context);
        made.map_err(|error| self.refused(error, source, &context))?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .map_err(|error| failed(error, format!("option device={}", self.device), Some(&context)))
    }

    /// Names the option that is most likely wrong when the whole is refused.
    fn refused(&self, error: Errno, source: &Path, context: &OwnedFd) -> Error {
        let text = share::shown(&self.text);
        let option = match error {
            // It says why to the kernel's log only, and does not say which.
            Errno::INVAL if is_block_device(source) => {
                let alternative = if text.is_empty() { String::new() } else { format!(", or option o={text}") };
                format!("option device={}: there is no {} on it{alternative}", self.device, self.kind)
            }
            Errno::INVAL if self.kind == "overlay" && !text.contains("lowerdir=") => {
                "option o: an overlay needs a lowerdir".to_owned()
            }
            Errno::INVAL if !text.is_empty() => format!("option o={text}"),
            _ => format!("option device={}", self.device),
        };
        failed(error, option, Some(context))
    }
}

fn is_block_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device())
}

/// An error with what the kernel says about it, where it says something (fsopen(2), "Message retrieval").
fn failed(error: Errno, option: String, context: Option<&OwnedFd>) -> Error {
    let mut words = Vec::new();
    let mut line = [0_u8; 1024];
    while let Some(length) = context.and_then(|context| rustix::io::read(context, &mut line).ok()).filter(|it| *it > 0)
    {
        let text = String::from_utf8_lossy(&line[..length]);
        // Each begins with its kind: `e `, `w ` or `i `.
        words.push(text.trim_end().get(2..).unwrap_or_default().to_owned());
    }
    let error = io::Error::from(error);
    let class = match error.kind() {
        // What is missing is not the volume.
        io::ErrorKind::NotFound => dhow_errdefs::Class::InvalidArgument,
        kind => kind.into(),
    };
    let option = if words.is_empty() { option } else { format!("{option}: {}", words.join("; ")) };
    Error::new(class, option).with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_that_make_no_sense_are_refused_in_dockers_words() {
        let refusal = |pairs: &[(&str, &str)]| check(&options(pairs)).unwrap_err().to_string();
        assert_eq!(refusal(&[("color", "red")]), "invalid option: \"color\"");
        assert_eq!(refusal(&[("type", "tmpfs")]), "missing required option: \"device\"");
        assert_eq!(refusal(&[("device", "/x")]), "missing required option: \"type\"");
        assert_eq!(refusal(&[("o", "ro"), ("type", "x")]), "missing required option: \"device\"");
        assert_eq!(refusal(&[("size", "1g")]), "quota size requested but no quota support");
        assert_eq!(
            refusal(&[("type", "none"), ("device", "/srv"), ("o", "bind,runbindable")]),
            "option o=runbindable: what cannot be bound cannot be given to a container"
        );
        assert!(check(&options(&[("type", "tmpfs"), ("device", "tmpfs")])).is_ok());
    }

    #[test]
    fn words_are_flags_or_parameters() {
        let it = FileSystem::of(&options(&[
            ("type", "tmpfs"),
            ("device", "t"),
            ("o", "size=1m,ro,noexec, uid=5 ,defaults"),
        ]));
        assert_eq!(it.data, ["size=1m", "uid=5"]);
        assert_eq!(it.change.set, mount::RDONLY | mount::NOEXEC);
        let it = FileSystem::of(&options(&[("type", "none"), ("device", "/srv"), ("o", "rbind,rw,noatime")]));
        assert_eq!((it.bind, it.change.set, it.change.clear), (Some(true), mount::NOATIME, mount::ATIME_FIELD));
        for (words, set) in [
            ("atime,diratime,norelatime,nostrictatime", 0),
            ("noatime,nodiratime,atime,diratime", 0),
            ("strictatime,atime", mount::STRICTATIME),
            ("strictatime,nostrictatime", 0),
        ] {
            let it = FileSystem::of(&options(&[("type", "tmpfs"), ("device", "t"), ("o", words)]));
            assert_eq!((it.data.len(), it.change.set), (0, set), "{words}");
        }
    }
}
