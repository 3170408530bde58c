//! What Docker means, without HTTP: containers, exec, attach, wait, restore
