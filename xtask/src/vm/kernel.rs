//! Debian's kernel for virtual machines, unpacked and not installed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{self, Result};

/// The modules that containers, their networks and volumes on a file server need; cgroups, namespaces and seccomp are built
/// in.
pub(super) const FOR_CONTAINERS: [&str; 28] = [
    "overlay",
    "8021q",
    "bridge",
    "ip6table_filter",
    "ip6table_nat",
    "iptable_filter",
    "iptable_nat",
    "macvlan",
    "veth",
    "nf_tables",
    "nf_conntrack_netlink",
    "nft_chain_nat",
    "nft_compat",
    "nft_ct",
    "nft_fib_inet",
    "nft_masq",
    "nft_meta_bridge",
    "nft_nat",
    "nft_redir",
    "nft_reject_inet",
    "sctp",
    "xt_addrtype",
    "xt_conntrack",
    "xt_nat",
    "xt_tcpudp",
    "nfsd",
    "nfsv4",
    "cifs",
];

/// The modules for a disk that stays when the machine ends.
pub(super) const FOR_A_DISK: [&str; 2] = ["virtio_pci", "virtio_blk"];

/// A kernel and modules to load in order.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    pub(crate) modules: Vec<PathBuf>,
}

/// Downloads and unpacks the package into the folder unless it is there.
pub(crate) fn fetch(folder: &Path, modules: &[&str]) -> Result<Kernel> {
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
    let mut files = Vec::new();
    for name in modules {
        with_needed(&unpacked.join("lib/modules"), name, &mut files)?;
    }
    Ok(Kernel { image, modules: files })
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

/// Adds a module behind those it needs.
fn with_needed(folder: &Path, name: &str, modules: &mut Vec<PathBuf>) -> Result {
    let file = format!("{name}.ko");
    let path =
        find(folder, &|found| found == file).ok_or_else(|| format!("the kernel package has no module {file}"))?;
    if modules.contains(&path) {
        return Ok(());
    }
    let content = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    for needed in needed(&content) {
        with_needed(folder, &needed, modules)?;
    }
    modules.push(path);
    Ok(())
}

/// What a module says in its section `.modinfo` that it needs: strings that end with a zero byte. (Packages bring no
/// `modules.dep`: depmod(8) makes it where they are installed.)
fn needed(module: &[u8]) -> Vec<String> {
    let names = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let names = String::from_utf8_lossy(names.unwrap_or_default()).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(needed(b"\x7fELF\0license=GPL\0depends=stp,llc\0name=bridge\0"), ["stp", "llc"]);
        assert!(needed(b"license=GPL\0depends=\0").is_empty());
    }
}
