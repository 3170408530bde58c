//! Container logs: write and rotate, read, tail, follow
