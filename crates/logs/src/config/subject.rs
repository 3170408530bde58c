//! Whose log it is: what `labels`, `env` and `tag` pick from.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use gotmpl::{MissingKey, Template};
use regex_lite::Regex;
use serde::Serialize;

/// What a tag is where the option does not say, for drivers that always have one.
pub(crate) const DEFAULT_TAG: &str = "{{.ID}}";

/// Characters of a short id.
const SHORT: usize = 12;

/// A container, as its log driver sees it.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name, without a slash.
    pub name: &'a str,
    /// Its program and arguments.
    pub command: &'a [String],
    /// Its image's id, as in `sha256:4f5e…`.
    pub image_id: &'a str,
    /// Its image by the name it was asked for.
    pub image_name: &'a str,
    /// `NAME=value`.
    pub env: &'a [String],
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// The words of a tag's template, which are Docker's. Those that are methods in Docker are fields here.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Words<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "FullID")]
    full_id: &'a str,
    name: &'a str,
    command: String,
    #[serde(rename = "ImageID")]
    image_id: &'a str,
    #[serde(rename = "ImageFullID")]
    image_full_id: &'a str,
    image_name: &'a str,
    daemon_name: &'a str,
    hostname: String,
    #[serde(rename = "ContainerID")]
    container_id: &'a str,
    container_name: String,
    container_entrypoint: &'a str,
    container_args: &'a [String],
    #[serde(rename = "ContainerImageID")]
    container_image_id: &'a str,
    container_image_name: &'a str,
    container_env: &'a [String],
    container_labels: BTreeMap<&'a str, &'a str>,
}

type Options = BTreeMap<String, String>;

impl Subject<'_> {
    /// The tag, from the option or the driver's default template; `None` without either.
    ///
    /// # Errors
    /// `InvalidArgument` for a template that cannot be read or filled in.
    pub(crate) fn tag(&self, options: &Options, default: Option<&str>) -> Result<Option<String>> {
        let text = options.get("tag").map(String::as_str).filter(|text| !text.is_empty()).or(default);
        let Some(text) = text else { return Ok(None) };
        // The default, without the machinery.
        if text == DEFAULT_TAG {
            return Ok(Some(short(self.id).to_owned()));
        }
        let words = gotmpl::to_value(&self.words()).map_err(template_error)?;
        parse(text)?.execute_to_string(&words).map(Some).map_err(template_error)
    }

    fn words(&self) -> Words<'_> {
        Words {
            id: short(self.id),
            full_id: self.id,
            name: self.name,
            command: self.command.join(" "),
            // Docker cuts the digest's name with the digest: sha256:4f5e0.
            image_id: short(self.image_id),
            image_full_id: self.image_id,
            image_name: self.image_name,
            daemon_name: "docker",
            hostname: hostname(),
            container_id: self.id,
            container_name: format!("/{}", self.name),
            container_entrypoint: self.command.first().map_or("", String::as_str),
            container_args: self.command.get(1..).unwrap_or_default(),
            container_image_id: self.image_id,
            container_image_name: self.image_name,
            container_env: self.env,
            container_labels: self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }

    /// What the options `labels`, `labels-regex`, `env`, `env-regex` and `tag` pick.
    ///
    /// # Errors
    /// `InvalidArgument` for a pattern or template that cannot be read.
    pub fn attributes(&self, options: &Options) -> Result<BTreeMap<String, String>> {
        let mut found = self.picked(options)?;
        found.extend(self.tag(options, None)?.map(|tag| ("tag".to_owned(), tag)));
        Ok(found)
    }

    /// The same without the tag.
    pub(crate) fn picked(&self, options: &Options) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        // The ordinary container, on its way to its start.
        if !["labels", "labels-regex", "env", "env-regex"].iter().any(|name| options.contains_key(*name)) {
            return Ok(found);
        }
        let labels: BTreeMap<&str, &str> = self.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let env: BTreeMap<&str, &str> = self.env.iter().filter_map(|variable| variable.split_once('=')).collect();
        for (source, list, pattern) in [(labels, "labels", "labels-regex"), (env, "env", "env-regex")] {
            for name in value(options, list).into_iter().flat_map(|list| list.split(',')) {
                found.extend(source.get(name).map(|value| (name.to_owned(), (*value).to_owned())));
            }
            if let Some(text) = value(options, pattern) {
                let pattern = compile(text)?;
                let matching = source.iter().filter(|(name, _)| pattern.is_match(name));
                found.extend(matching.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            }
        }
        Ok(found)
    }
}

/// Whether patterns and template can be read.
pub(super) fn check(options: &Options) -> Result<()> {
    for name in ["labels-regex", "env-regex"] {
        value(options, name).map(compile).transpose()?;
    }
    value(options, "tag").map(parse).transpose()?;
    Ok(())
}

fn value<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    options.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// As Go reads it: classes like `\w` are ASCII.
fn compile(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| Error::invalid(format!("error parsing regexp: {error}: `{text}`")))
}

fn parse(text: &str) -> Result<Template> {
    Template::new("log-tag").missing_key(MissingKey::Error).parse(text).map_err(template_error)
}

fn template_error(error: gotmpl::TemplateError) -> Error {
    let text = error.to_string();
    Error::invalid(if text.starts_with("template:") { text } else { format!("template: log-tag:1: {text}") })
}

pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn with<T>(check: impl FnOnce(&Subject<'_>) -> T) -> T {
        let labels = options(&[("app", "web"), ("app.tier", "front"), ("other", "x")]);
        check(&Subject {
            id: "0123456789abcdef",
            name: "box",
            command: &["sh".to_owned(), "-c".to_owned(), "true".to_owned()],
            image_id: "sha256:0011223344",
            image_name: "busybox",
            env: &["A=1".to_owned(), "AB=2=3".to_owned(), "B".to_owned()],
            labels: &labels,
        })
    }

    #[test]
    fn tags_have_dockers_words() {
        let tag = |text: &str| with(|subject| subject.tag(&options(&[("tag", text)]), None).unwrap().unwrap());
        assert_eq!(tag("{{.ID}}/{{.FullID}}"), "0123456789ab/0123456789abcdef");
        assert_eq!(tag("{{.Name}} {{.ImageName}} {{.ImageID}}"), "box busybox sha256:00112");
        assert_eq!(tag("{{.Command}} {{.DaemonName}}"), "sh -c true docker");
        assert_eq!(tag("{{index .ContainerLabels \"app\"}}"), "web");
        assert_eq!(tag("plain"), "plain");
        assert_eq!(with(|subject| subject.tag(&Options::new(), None).unwrap()), None);
        let default = with(|subject| subject.tag(&Options::new(), Some(DEFAULT_TAG)).unwrap());
        assert_eq!(default.as_deref(), Some("0123456789ab"));
    }

    #[test]
    fn attributes_are_picked_by_name_and_pattern() {
        let picked = |pairs: &[(&str, &str)]| {
            let found = with(|subject| subject.attributes(&options(pairs)).unwrap());
            found.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(picked(&[("labels", "app,none"), ("env", "AB")]), "AB=2=3 app=web");
        assert_eq!(picked(&[("labels-regex", "^app"), ("env-regex", "^A$")]), "A=1 app=web app.tier=front");
        assert_eq!(picked(&[("tag", "{{.Name}}")]), "tag=box");
        assert_eq!(picked(&[]), "");
    }
}
