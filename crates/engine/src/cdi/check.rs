//! What a file that describes devices may say (SPEC.md, with the version in which each word came).

use std::collections::BTreeSet;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::DeviceName;

use super::document::{DeviceNode, Document, Edits, Hook, Mount};

/// The versions there are, with a number to compare them by.
const VERSIONS: [(&str, u8); 9] = [
    ("0.1.0", 1),
    ("0.2.0", 2),
    ("0.3.0", 3),
    ("0.4.0", 4),
    ("0.5.0", 5),
    ("0.6.0", 6),
    ("0.7.0", 7),
    ("0.8.0", 8),
    ("1.0.0", 10),
];

const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Bytes of all annotations of a file or a device, as Kubernetes has it.
const LARGEST_ANNOTATIONS: usize = 256 << 10;

fn wrong<T>(text: String) -> Result<T> {
    Err(Error::invalid(text))
}

impl Document {
    pub(super) fn check(&self) -> Result<()> {
        self.check_version()?;
        check_annotations(&self.kind, &self.annotations)?;
        self.container_edits.check()?;
        let mut names = BTreeSet::new();
        for device in &self.devices {
            let step = || format!("failed add device {:?}", device.name);
            DeviceName::new(&self.kind, &device.name).context(step)?;
            check_annotations(&device.name, &device.annotations).context(step)?;
            if device.container_edits == Edits::default() {
                return wrong("invalid device, empty device edits".to_owned()).context(step);
            }
            device.container_edits.check().context(|| format!("invalid device {:?}", device.name)).context(step)?;
            if !names.insert(&device.name) {
                return wrong(format!("invalid spec, multiple device {:?}", device.name));
            }
        }
        if names.is_empty() { wrong("invalid spec, no devices".to_owned()) } else { Ok(()) }
    }

    fn check_version(&self) -> Result<()> {
        let number = |wanted: &str| VERSIONS.iter().find(|(version, _)| *version == wanted).map(|(_, number)| *number);
        let version = self.cdi_version.strip_prefix('v').unwrap_or(&self.cdi_version);
        let Some(said) = number(version) else { return wrong(format!("invalid version {:?}", self.cdi_version)) };
        let least = self.least_version();
        if number(least) > Some(said.max(3)) {
            return wrong(format!("the spec version must be at least v{least}"));
        }
        Ok(())
    }

    /// The first version that has everything the file uses.
    fn least_version(&self) -> &'static str {
        let any = |uses: fn(&Edits) -> bool| self.all_edits().any(uses);
        let annotated =
            !self.annotations.is_empty() || self.devices.iter().any(|device| !device.annotations.is_empty());
        let digit = |name: &str| name.starts_with(|first: char| first.is_ascii_digit());
        if any(|edits| edits.intel_rdt.is_some() || !edits.additional_gids.is_empty()) {
            "0.7.0"
        } else if annotated || self.kind.split_once('/').is_some_and(|(_, class)| class.contains('.')) {
            "0.6.0"
        } else if self.devices.iter().any(|device| digit(&device.name))
            || any(|edits| edits.device_nodes.iter().any(|node| !node.host_path.is_empty()))
        {
            "0.5.0"
        } else if any(|edits| edits.mounts.iter().any(|mount| !mount.kind.is_empty())) {
            "0.4.0"
        } else {
            "0.3.0"
        }
    }
}

/// Their keys may be anything: the library of Docker has a rule for them, and does not apply it (its
/// `ValidateSpecAnnotations` looks at maps of another type than files have).
fn check_annotations(name: &str, annotations: &std::collections::BTreeMap<String, String>) -> Result<()> {
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > LARGEST_ANNOTATIONS {
        return wrong(format!("{name}.annotations is too long: {size} bytes of at most {LARGEST_ANNOTATIONS}"));
    }
    Ok(())
}

impl Edits {
    fn check(&self) -> Result<()> {
        check_env(&self.env).context(|| "invalid container edits")?;
        self.device_nodes.iter().try_for_each(DeviceNode::check)?;
        self.hooks.iter().try_for_each(Hook::check)?;
        self.mounts.iter().try_for_each(Mount::check)?;
        let class = self.intel_rdt.as_ref().and_then(|rdt| rdt.clos_id.as_deref()).unwrap_or_default();
        // It becomes the name of a folder.
        if class.len() >= 4096 || matches!(class, "." | "..") || class.contains(['/', '\n']) {
            return wrong("invalid ClosID".to_owned());
        }
        Ok(())
    }
}

fn check_env(env: &[String]) -> Result<()> {
    let bad = env.iter().find(|variable| variable.find('=').is_none_or(|place| place == 0));
    bad.map_or(Ok(()), |variable| wrong(format!("invalid environment variable {variable:?}")))
}

impl DeviceNode {
    fn check(&self) -> Result<()> {
        if self.path.is_empty() {
            return wrong("invalid (empty) device path".to_owned());
        }
        if !matches!(self.kind.as_str(), "" | "b" | "c" | "u" | "p") {
            return wrong(format!("device {:?}: invalid type {:?}", self.path, self.kind));
        }
        if self.permissions.chars().any(|it| !"rwm".contains(it)) {
            return wrong(format!("device {:?}: invalid permissions {:?}", self.path, self.permissions));
        }
        Ok(())
    }
}

impl Hook {
    fn check(&self) -> Result<()> {
        if !HOOKS.contains(&self.hook_name.as_str()) {
            return wrong(format!("invalid hook name {:?}", self.hook_name));
        }
        if self.path.is_empty() {
            return wrong(format!("invalid hook {:?} with empty path", self.hook_name));
        }
        check_env(&self.env).context(|| format!("invalid hook {:?}", self.hook_name))
    }
}

impl Mount {
    fn check(&self) -> Result<()> {
        if self.host_path.is_empty() {
            return wrong("invalid mount, empty host path".to_owned());
        }
        if self.container_path.is_empty() {
            return wrong("invalid mount, empty container path".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: &str, kind: &str, edits: &str) -> Result<Document> {
        let text = format!("cdiVersion: {version}\nkind: {kind}\ndevices:\n- name: a\n  containerEdits: {{{edits}}}\n");
        Document::parse(&text)
    }

    #[test]
    fn a_good_file_is_good_in_its_version() {
        assert!(document("0.3.0", "v.com/c", "env: [A=1]").is_ok());
        assert!(document("v1.0.0", "v.com/c.d", "env: [A=1]").is_ok());
        assert!(document("0.8.0", "v.com/c\nannotations: {\"a b/c/d\": x}", "env: [A=1]").is_ok());
        for (edits, least) in [
            ("additionalGids: [5]", "0.7.0"),
            ("intelRdt: {closID: a}", "0.7.0"),
            ("deviceNodes: [{path: /dev/a, hostPath: /dev/b}]", "0.5.0"),
            ("mounts: [{hostPath: /a, containerPath: /b, type: bind}]", "0.4.0"),
        ] {
            let error = document("0.3.0", "v.com/c", edits).unwrap_err().to_string();
            assert_eq!(error, format!("invalid CDI Spec: the spec version must be at least v{least}"));
            assert!(document(least, "v.com/c", edits).is_ok(), "{edits}");
        }
        assert!(document("0.5.0", "v.com/c.d", "env: [A=1]").unwrap_err().to_string().ends_with("at least v0.6.0"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (version, kind, edits, words) in [
            ("0.9.0", "v.com/c", "env: [A=1]", "invalid version \"0.9.0\""),
            ("0.8.0", "v.com", "env: [A=1]", "invalid vendor \"\""),
            ("0.8.0", "v.com/c", "", "empty device edits"),
            ("0.8.0", "v.com/c", "env: [A]", "invalid environment variable \"A\""),
            ("0.8.0", "v.com/c", "env: [=A]", "invalid environment variable \"=A\""),
            ("0.8.0", "v.com/c", "deviceNodes: [{path: \"\"}]", "empty) device path"),
            ("0.8.0", "v.com/c", "deviceNodes: [{path: /d, type: x}]", "invalid type \"x\""),
            ("0.8.0", "v.com/c", "deviceNodes: [{path: /d, permissions: rx}]", "invalid permissions \"rx\""),
            ("0.8.0", "v.com/c", "mounts: [{hostPath: /d}]", "empty container path"),
            ("0.8.0", "v.com/c", "hooks: [{hookName: x, path: /d}]", "invalid hook name \"x\""),
            ("0.8.0", "v.com/c", "hooks: [{hookName: poststop}]", "empty path"),
            ("0.8.0", "v.com/c", "intelRdt: {closID: ..}", "invalid ClosID"),
            ("0.8.0", "v.com/c", "strange: 1", "unknown field `strange`"),
        ] {
            let error = document(version, kind, edits).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let twice = "cdiVersion: 0.8.0\nkind: v.com/c\nannotations: {a: x, a: y}";
        assert!(Document::parse(twice).unwrap_err().to_string().contains("duplicate field `a`"));
        assert!(Document::parse("").unwrap_err().to_string().contains("no Spec data"));
        let twice = "cdiVersion: 0.8.0\nkind: v/c\ndevices: [{name: a, containerEdits: {env: [A=1]}}, {name: a, containerEdits: {env: [A=1]}}]";
        assert!(Document::parse(twice).unwrap_err().to_string().contains("multiple device \"a\""));
        assert!(Document::parse("cdiVersion: 0.8.0\nkind: v/c\n").unwrap_err().to_string().contains("no devices"));
    }
}
