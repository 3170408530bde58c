//! `--restart`.

use dhow_api::container::RestartPolicy;
use dhow_errdefs::Result;

use super::wrong;

/// Reads `name[:count]`; whether there is such a policy, the engine decides.
pub(crate) fn parse(text: &str) -> Result<RestartPolicy> {
    let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
    if name.is_empty() && count.is_some() {
        return Err(wrong("invalid restart policy format: no policy provided before colon"));
    }
    let maximum_retry_count = match count {
        None | Some("") => 0,
        Some(count) => {
            count.parse().map_err(|_| wrong("invalid restart policy format: maximum retry count must be an integer"))?
        }
    };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert_eq!(parse("on-failure:3").unwrap(), RestartPolicy { name: "on-failure".into(), maximum_retry_count: 3 });
        assert_eq!(parse("always").unwrap().name, "always");
        assert!(parse(":3").is_err() && parse("on-failure:x").is_err());
    }
}
