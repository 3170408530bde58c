//! The file about registries, `registries.toml` beside `daemon.toml`: mirrors of each, and which images may be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dhow_engine::{Policy, PolicyRule, PublicKey};
use dhow_errdefs::{Error, Result, ResultExt};
use serde::Deserialize;

use super::registries::check_mirror;

/// What it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RegistryFile {
    /// By registry.
    pub(super) mirrors: BTreeMap<String, Vec<String>>,
    /// Registries that may be reached without security.
    pub(super) insecure: Vec<String>,
    pub(super) policy: Policy,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Document {
    registry: BTreeMap<String, Registry>,
    policy: Rules,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Registry {
    mirrors: Vec<String>,
    insecure: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Rules {
    default: Verdict,
    rule: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    #[default]
    Allow,
    Block,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rule {
    name: String,
    #[serde(rename = "match")]
    pattern: String,
    #[serde(default)]
    action: Verdict,
    #[serde(default)]
    by_digest: bool,
    #[serde(default)]
    signed_by: Vec<PathBuf>,
}

impl RegistryFile {
    /// Reads it. One that is missing says nothing, unless the person named it.
    pub(super) fn read(path: &Path, named: bool) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Self::default()),
            text => text.context(|| format!("read registry configuration {}", path.display()))?,
        };
        Self::parse(&text, path).context(|| format!("registry configuration {}", path.display()))
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let Document { registry, policy } =
            toml::from_str(text).map_err(|error| Error::invalid(error.to_string().trim_end().to_owned()))?;
        registry.values().flat_map(|registry| &registry.mirrors).try_for_each(|mirror| check_mirror(mirror))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let insecure = registry.iter().filter(|(_, it)| it.insecure).map(|(host, _)| host.clone()).collect();
        Ok(Self {
            insecure,
            mirrors: registry.into_iter().map(|(host, registry)| (host, registry.mirrors)).collect(),
            policy: Policy {
                source: path.display().to_string(),
                block_others: policy.default == Verdict::Block,
                rules: policy.rule.into_iter().map(|rule| rule.read(folder)).collect::<Result<_>>()?,
            },
        })
    }
}

impl Rule {
    fn read(self, folder: &Path) -> Result<PolicyRule> {
        if self.pattern.trim_matches('/').is_empty() {
            return Err(Error::invalid(format!("the rule {:?} matches nothing", self.name)));
        }
        let key = |path: &PathBuf| {
            let path = folder.join(path);
            let pem = fs::read_to_string(&path).context(|| format!("read key {}", path.display()))?;
            PublicKey::from_pem(&path.display().to_string(), &pem)
        };
        Ok(PolicyRule {
            signed_by: self.signed_by.iter().map(key).collect::<Result<_>>()?,
            name: self.name,
            pattern: self.pattern.trim_end_matches('/').to_owned(),
            block: self.action == Verdict::Block,
            by_digest: self.by_digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RegistryFile> {
        RegistryFile::parse(text, Path::new("/etc/dhow/registries.toml"))
    }

    #[test]
    fn mirrors_and_rules_are_read() {
        let file = parse(
            "[registry.\"reg.example\"]\nmirrors = [\"https://m.example\"]\ninsecure = true\n\
             [policy]\ndefault = \"block\"\n\
             [[policy.rule]]\nname = \"hub\"\nmatch = \"docker.io/library/\"\nby-digest = true\n\
             [[policy.rule]]\nname = \"bad\"\nmatch = \"docker.io\"\naction = \"block\"\n",
        )
        .unwrap();
        assert_eq!(file.mirrors["reg.example"], ["https://m.example"]);
        assert_eq!(file.insecure, ["reg.example"]);
        let Policy { source, rules, block_others } = file.policy;
        assert_eq!((source.as_str(), block_others, rules.len()), ("/etc/dhow/registries.toml", true, 2));
        assert_eq!((rules[0].pattern.as_str(), rules[0].by_digest, rules[1].block), ("docker.io/library", true, true));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "[policy]\ndefualt = \"block\"",
            "[policy]\ndefault = \"maybe\"",
            "[[policy.rule]]\nname = \"a\"\nmatch = \"/\"",
            "[[policy.rule]]\nname = \"a\"\nmatch = \"b\"\nsigned-by = [\"/nonexistent/key\"]",
            "[registry.\"a\"]\nmirrors = [\"m\"]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
