//! The Docker Engine API over HTTP: routes, conversion, versions, hijacking
