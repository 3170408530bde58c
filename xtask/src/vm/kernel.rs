//! Debian's kernel for virtual machines, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{self, Result};

/// The modules that containers need; cgroups, namespaces and seccomp are built in.
const MODULES: [&str; 1] = ["overlay"];

/// A kernel and modules to load in order.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    pub(crate) modules: Vec<PathBuf>,
}

/// Downloads and unpacks the package into the folder unless it is there.
pub(crate) fn fetch(folder: &Path) -> Result<Kernel> {
    let unpacked = folder.join("kernel");
    if !unpacked.join("complete").exists() {
        drop(fs::remove_dir_all(&unpacked));
        let package = package()?;
        println!("fetching {package}");
        shell::run(shell::command("apt-get").args(["download", "--quiet", "--quiet", &package]).current_dir(folder))?;
        let file = find(folder, &|name| name.starts_with(&package) && name.ends_with(".deb"))
            .ok_or_else(|| format!("{package}: apt-get download left no file"))?;
        shell::run(shell::command("dpkg").arg("-x").arg(&file).arg(&unpacked))?;
        fs::write(unpacked.join("complete"), "").map_err(|error| error.to_string())?;
    }
    let image =
        find(&unpacked.join("boot"), &|name| name.starts_with("vmlinuz-")).ok_or("the package has no kernel")?;
    let modules = MODULES.iter().map(|name| module(&unpacked.join("lib/modules"), name)).collect::<Result<_>>()?;
    Ok(Kernel { image, modules })
}

/// The package that the metapackage for the newest cloud kernel depends on.
fn package() -> Result<String> {
    let depends = || shell::output(shell::command("apt-cache").args(["depends", "linux-image-cloud-amd64"]));
    let concrete = |text: String| {
        text.lines().find_map(|line| {
            line.trim().strip_prefix("Depends: ").filter(|name| name.contains("cloud")).map(str::to_owned)
        })
    };
    if let Some(name) = depends().ok().and_then(concrete) {
        return Ok(name);
    }
    shell::run(shell::command("apt-get").args(["update", "--quiet", "--quiet"]))?;
    concrete(depends()?).ok_or_else(|| "apt knows no linux-image-cloud-amd64".to_owned())
}

fn module(folder: &Path, name: &str) -> Result<PathBuf> {
    let file = format!("{name}.ko");
    find(folder, &|found| found == file).ok_or_else(|| format!("the kernel package has no module {file}"))
}

/// The first file whose name fits, searched in depth.
fn find(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        if path.is_dir() {
            return find(&path, fits);
        }
        path.file_name().is_some_and(|name| fits(&name.to_string_lossy())).then_some(path)
    })
}
