//! thin
use std::path::Path;
pub(super) fn tree(_trash: &Path, path: &Path, _stop: &dyn Fn() -> bool) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}
