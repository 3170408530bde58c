//! dhow
fn main() {}
