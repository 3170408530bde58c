//! Worlds for tests: a private engine, tiny images, private namespaces
