//! Looking for repositories by a word (Docker Registry HTTP API V1, "Search"; for registries without it, their catalog).

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::{DEFAULT_REGISTRY, Reference};
use reqwest::Url;
use serde::Deserialize;

use super::Registries;
use super::failure::{Wanted, printable};
use super::remote::Caller;
use super::session::{Access, Repository, Visit};
use crate::cancelled::Cancelled;
use crate::filter::Filters;

/// Where the default registry is searched.
const INDEX: &str = "https://index.docker.io";

/// Longest answer to a search.
const LONGEST: usize = 4 << 20;

/// How many results come where nobody says how many.
const USUAL: usize = 25;

/// Most that may be asked for at once, as in Docker.
const MOST: usize = 100;

/// One repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Its name.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// How many people like it.
    pub star_count: i64,
    /// Whether it is one of those that the registry itself cares for.
    pub is_official: bool,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<SearchResult>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

impl Registries {
    /// Repositories that have the word in their name, or as the registry searches. Filters: `is-official`, `stars`.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for an unknown filter or a limit beyond reason, or what
    /// the registry says.
    pub fn search(
        &self,
        term: &str,
        limit: Option<usize>,
        filters: &Filters,
        caller: &Caller,
    ) -> Result<Vec<SearchResult>> {
        filters.only(&["is-official", "is-automated", "stars"])?;
        if filters.flag("is-automated")? == Some(true) {
            return Ok(Vec::new());
        }
        let (official, stars) = (filters.flag("is-official")?, stars(filters)?);
        let limit = match limit.unwrap_or_default() {
            0 => USUAL,
            limit if limit > MOST => {
                return Err(Error::invalid(format!("limit {limit} is outside the range of [1, {MOST}]")));
            }
            limit => limit,
        };
        let (registry, word) = split(term)?;
        // Any name of the registry will do: only the registry itself is asked.
        let name = Reference::parse(&format!("{registry}/search"))?;
        let Caller { credentials, insecure } = caller;
        let visit = Visit {
            name: &name,
            access: Access::Look,
            credentials,
            sources: &[],
            insecure: *insecure,
            cancelled: Cancelled::NEVER,
        };
        let found = self.visit(visit, |repository| repository.search(word, limit))?;
        let fits = |result: &SearchResult| {
            official.is_none_or(|wanted| result.is_official == wanted) && result.star_count >= stars
        };
        Ok(found.into_iter().filter(fits).take(limit).collect())
    }
}

impl Repository<'_> {
    fn search(&self, word: &str, limit: usize) -> Result<Vec<SearchResult>> {
        let own = self.base();
        let base = if self.name().registry() == DEFAULT_REGISTRY { INDEX } else { own };
        let mut url = Url::parse(&format!("{base}/v1/search"))
            .map_err(|cause| Error::invalid(format!("invalid address {base:?}")).with_cause(cause))?;
        url.query_pairs_mut().append_pair("q", word).append_pair("n", &limit.to_string());
        let url = url.to_string();
        match self.send("Get", &url, Wanted::Push, |client| client.get(&url)) {
            Ok(answer) => {
                let body = self.body(answer, LONGEST, &url)?;
                let read = serde_json::from_slice::<Results>(&body);
                read.map(|found| found.results.into_iter().map(printed).collect())
                    .map_err(|cause| Error::data_loss("read the results").with_cause(cause))
            }
            Err(error) if error.class() == Class::NotFound => self.catalog(word),
            Err(error) => Err(error),
        }
    }

    /// The first thousand repositories of a registry that cannot be searched (OCI distribution-spec, "Listing").
    fn catalog(&self, word: &str) -> Result<Vec<SearchResult>> {
        let url = format!("{}/v2/_catalog?n=1000", self.base());
        let answer = self.send("Get", &url, Wanted::Push, |client| client.get(&url))?;
        let body = self.body(answer, LONGEST, &url)?;
        let catalog: Catalog =
            serde_json::from_slice(&body).map_err(|cause| Error::data_loss("read the catalog").with_cause(cause))?;
        let registry = self.name().registry();
        let found = catalog.repositories.unwrap_or_default().into_iter().filter(|name| name.contains(word));
        let result = |name| SearchResult { name: format!("{registry}/{name}"), ..Default::default() };
        Ok(found.map(result).map(printed).collect())
    }
}

fn printed(found: SearchResult) -> SearchResult {
    SearchResult { name: printable(&found.name), description: printable(&found.description), ..found }
}

fn stars(filters: &Filters) -> Result<i64> {
    let mut least = 0;
    for value in filters.values("stars") {
        let stars = value.parse::<i64>().map_err(|_| Error::invalid(format!("invalid filter 'stars={value}'")))?;
        least = least.max(stars);
    }
    Ok(least)
}

/// The registry in front of a term, and the word to search for.
fn split(term: &str) -> Result<(&str, &str)> {
    if term.contains("://") {
        return Err(Error::invalid(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    let (registry, word) = match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, term),
    };
    Ok((registry, if registry == DEFAULT_REGISTRY { word.strip_prefix("library/").unwrap_or(word) } else { word }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_may_stand_before_the_word() {
        assert_eq!(split("alpine").expect("good"), (DEFAULT_REGISTRY, "alpine"));
        assert_eq!(split("library/alpine").expect("good"), (DEFAULT_REGISTRY, "alpine"));
        assert_eq!(split("me/app").expect("good"), (DEFAULT_REGISTRY, "me/app"));
        assert_eq!(split("localhost:5000/app").expect("good"), ("localhost:5000", "app"));
        assert!(split("http://x/y").is_err());
    }
}
