//! Blobs, layers, snapshots and metadata under one data root
