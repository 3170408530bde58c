//! Signals as people write them.

use dhow_errdefs::{Error, Result};

/// SIGTERM on every architecture.
pub(crate) const TERM: i32 = 15;
/// SIGKILL on every architecture.
pub(crate) const KILL: i32 = 9;

/// `9`, `KILL`, `SIGKILL`, `rtmin+3`.
///
/// # Errors
/// Docker's words.
pub(crate) fn parse(text: &str) -> Result<i32> {
    dhow_sys::signal::parse(text).ok_or_else(|| {
        Error::invalid(match text.parse::<i32>() {
            Ok(1..) => format!("the linux daemon does not support signal {text}"),
            _ => format!("invalid signal: {text}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_no_signal_is_told_in_dockers_words() {
        let refusal = |text| parse(text).unwrap_err().to_string();
        assert_eq!(parse("64").unwrap(), 64);
        assert_eq!(refusal("99"), "the linux daemon does not support signal 99");
        assert_eq!((refusal("0").as_str(), refusal("-1").as_str()), ("invalid signal: 0", "invalid signal: -1"));
        assert_eq!(refusal("nonsense"), "invalid signal: nonsense");
    }
}
