//! What an engine says when a request's API version is beyond it.

use dhow_api::version::Version;

/// The version an engine asks for when it refuses ours: `client version 1.51 is too new. Maximum supported API version
/// is 1.41`. `None` if that is not what it says.
pub(crate) fn demanded(message: &str) -> Option<Version> {
    let (_, rest) = message.split_once("is too new. Maximum supported API version is ")?;
    rest.trim().trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_refusal_of_an_older_engine() {
        let said = "client version 1.51 is too new. Maximum supported API version is 1.41";
        assert_eq!(demanded(said), Some(Version::new(1, 41)));
        assert_eq!(demanded("client version 1.10 is too old. Minimum supported API version is 1.24"), None);
    }
}
