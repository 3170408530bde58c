//! Scenarios drive the real binary; see `tests/`.
