//! Filters of lists, as the API sends them.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result, parse_bool};
use dhow_oci::ImageConfig;
use jiff::Timestamp;

use crate::images::Images;
use crate::{glob, time};

/// Which images a list or a prune is about: words with values, as in `{"dangling": ["true"]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// One word with one value.
    #[must_use]
    pub fn one(word: &str, value: &str) -> Self {
        Self(BTreeMap::from([(word.to_owned(), vec![value.to_owned()])]))
    }

    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|word| !known.contains(&word.as_str())) {
            Some(word) => Err(Error::invalid(format!("invalid filter '{word}'"))),
            None => Ok(()),
        }
    }

    pub(crate) fn values(&self, word: &str) -> &[String] {
        self.0.get(word).map(Vec::as_slice).unwrap_or_default()
    }

    /// A word that is true or false, if it is there.
    pub(crate) fn flag(&self, word: &str) -> Result<Option<bool>> {
        let values = self.values(word);
        let wrong = || Error::invalid(format!("invalid filter '{word}=[{}]'", values.join(" ")));
        match values {
            [] => Ok(None),
            [value] => parse_bool(value).ok_or_else(wrong).map(Some),
            _ => Err(wrong()),
        }
    }
}

/// What is asked of an image itself, whatever its names are.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    before: Option<Timestamp>,
    after: Option<Timestamp>,
    until: Option<Timestamp>,
    labels: Vec<String>,
    not_labels: Vec<String>,
}

impl Properties {
    pub(crate) fn new(images: &Images, filters: &Filters) -> Result<Self> {
        let created = |name: &String| Ok::<_, Error>(created(&*images.config(&images.resolve(name)?.id)?));
        let before = filters.values("before").iter().map(created).collect::<Result<Vec<_>>>()?;
        let after = filters.values("since").iter().map(created).collect::<Result<Vec<_>>>()?;
        let now = Timestamp::now();
        let until = filters.values("until").iter().map(|text| time::moment(text, now)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            before: before.into_iter().min(),
            after: after.into_iter().max(),
            until: until.into_iter().min(),
            labels: filters.values("label").to_vec(),
            not_labels: filters.values("label!").to_vec(),
        })
    }

    pub(crate) fn fit(&self, config: &ImageConfig) -> bool {
        let created = created(config);
        let has = |wanted: &String| {
            let (key, value) =
                wanted.split_once('=').map_or((wanted.as_str(), None), |(key, value)| (key, Some(value)));
            let own = config.config.labels.as_ref().and_then(|labels| labels.get(key));
            own.is_some_and(|own| value.is_none_or(|value| value == own))
        };
        self.before.is_none_or(|before| created < before)
            && self.after.is_none_or(|after| created > after)
            && self.until.is_none_or(|until| created < until)
            && self.labels.iter().all(has)
            && !self.not_labels.iter().any(has)
    }
}

/// When an image was made; 1970 when it does not say.
pub(crate) fn created(config: &ImageConfig) -> Timestamp {
    time::parse(config.created.as_deref()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether a name, as Docker prints it, fits one of the patterns, with or without its tag.
pub(crate) fn fits_name(patterns: &[String], name: &dhow_oci::Reference) -> Result<bool> {
    for pattern in patterns {
        let fits = |text: &str| {
            glob::matches(pattern, text).ok_or_else(|| Error::invalid(format!("syntax error in pattern: {pattern:?}")))
        };
        if fits(&name.familiar())? || fits(&name.familiar_name())? {
            return Ok(true);
        }
    }
    Ok(false)
}
