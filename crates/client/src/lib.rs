//! A typed client of the Docker Engine API, hijacked streams included
