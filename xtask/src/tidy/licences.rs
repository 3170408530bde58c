//! Licences and sources of everything that is linked, by the lists in `deny.toml`.

use std::fs;

use serde::Deserialize;

use super::dependencies::Metadata;
use crate::shell::{self, Result};

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
}

pub(super) fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let path = shell::root().join("deny.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let deny: Deny = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some(source) = &package.source else { continue };
        let thing = format!("{} {}", package.name, package.version);
        if !source.starts_with("registry+") {
            faults.push(format!("{thing} comes from {source}: only the crate registry is allowed"));
        }
        let licence = package.license.as_deref().unwrap_or("none");
        if !satisfied(licence, &deny.licenses.allow) {
            faults.push(format!("{thing} has the licence {licence}, which deny.toml does not allow"));
        }
        if deny.bans.deny.iter().any(|ban| ban.name == package.name) {
            faults.push(format!("{thing} is banned by deny.toml"));
        }
    }
    Ok(faults)
}

/// Whether an SPDX expression can be fulfilled with the allowed licences: `OR` needs one side, `AND` both.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| allowed.iter().any(|allowed| allowed == licence.trim())))
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn or_needs_one_side_and_needs_both() {
        let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
        assert!(satisfied("MIT OR GPL-3.0", &allowed));
        assert!(satisfied("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
        assert!(!satisfied("MIT AND GPL-3.0", &allowed));
        assert!(!satisfied("GPL-3.0-only", &allowed));
        assert!(satisfied("Apache-2.0/MIT", &allowed));
    }
}
