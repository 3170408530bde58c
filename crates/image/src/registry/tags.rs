//! The tags of a repository (OCI distribution-spec, "Listing Tags").

use dhow_errdefs::{Error, Result};
use reqwest::header::LINK;
use serde::Deserialize;

use super::failure::Wanted;
use super::session::Repository;

/// Longest page of tags.
const LONGEST: usize = 4 << 20;

/// More pages than this are no list, but an attempt to keep us busy.
const PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Repository<'_> {
    /// All tags, as the registry orders them.
    pub(crate) fn tags(&self) -> Result<Vec<String>> {
        let mut tags = Vec::new();
        let mut next = Some(self.url("tags/list"));
        for _ in 0..PAGES {
            let Some(url) = next.take() else { break };
            let answer = self.send("Get", &url, Wanted::Blob(self.name()), |client| client.get(&url))?;
            let link = answer.headers().get(LINK).and_then(|link| link.to_str().ok()).and_then(following);
            next = link.and_then(|link| Some(answer.url().join(link).ok()?.to_string()));
            let body = self.body(answer, LONGEST, &url)?;
            let page: Page = serde_json::from_slice(&body).map_err(|cause| {
                Error::data_loss(format!("read the tags of {}", self.name().name())).with_cause(cause)
            })?;
            tags.extend(page.tags.unwrap_or_default());
        }
        Ok(tags)
    }
}

/// The address of the next page (RFC 8288: `</v2/…>; rel="next"`).
fn following(link: &str) -> Option<&str> {
    let (address, relation) = link.trim().strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_the_next_one() {
        assert_eq!(following(r#"</v2/a/tags/list?n=2&last=b>; rel="next""#), Some("/v2/a/tags/list?n=2&last=b"));
        assert_eq!(following(r#"</v2/a>; rel="prev""#), None);
        assert_eq!(following("nonsense"), None);
    }
}
