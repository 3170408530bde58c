//! Docker's command line as a client of the Engine API
