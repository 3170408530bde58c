//! Platforms that people type.

use dhow_errdefs::{Error, Result};
use dhow_oci::Platform;

/// A platform as newer operations of the API take it; empty if none was typed.
pub(crate) fn json(typed: &str) -> Result<String> {
    if typed.is_empty() {
        return Ok(String::new());
    }
    let platform: Platform = typed.parse().map_err(|why| Error::invalid(format!("invalid platform: {why}")))?;
    Ok(serde_json::to_string(&platform).expect("strings are JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_travel_as_json() {
        assert_eq!(json("").unwrap(), "");
        assert_eq!(json("linux/arm/v7").unwrap(), r#"{"architecture":"arm","os":"linux","variant":"v7"}"#);
        assert!(json("a/b/c/d/e").is_err());
    }
}
