//! Images: names to manifests; import, load, save, tag, remove
