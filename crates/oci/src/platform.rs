//! For which machines an image is made (OCI image-spec, image-index.md, "platform").

use std::fmt;
use std::str::FromStr;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

/// Operating system, processor and its variant, in Go's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Processor, as in `amd64`.
    pub architecture: String,
    /// Operating system, as in `linux`.
    pub os: String,
    /// Version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Variant of the processor, as in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The machine that this program was compiled for.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), ..Self::default() }
    }

    /// Whether something made for this platform can be used where `wanted` is asked for.
    #[must_use]
    pub fn fits(&self, wanted: &Self) -> bool {
        let variant = |platform: &Self| platform.variant.clone().or_else(|| default_variant(&platform.architecture));
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || variant(self) == variant(wanted))
    }
}

/// The variant that is meant where none is said.
fn default_variant(architecture: &str) -> Option<String> {
    match architecture {
        "arm64" => Some("v8".to_owned()),
        "arm" => Some("v7".to_owned()),
        _ => None,
    }
}

/// `os/arch[/variant]`, or one of the first two alone; names of processors that other tools use are understood.
impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid =
            || Error::invalid(format!("invalid platform {text:?}: it is os/architecture[/variant], as in linux/amd64"));
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        if parts.len() > 3 || parts.iter().any(|part| part.is_empty() || !part.bytes().all(is_word)) {
            return Err(invalid());
        }
        let (os, processor, variant) = match parts.as_slice() {
            ["linux"] => ("linux", Self::host().architecture, None),
            [processor] => ("linux", (*processor).to_owned(), None),
            [os, processor] => (*os, (*processor).to_owned(), None),
            [os, processor, variant] => (*os, (*processor).to_owned(), Some((*variant).to_owned())),
            _ => return Err(invalid()),
        };
        let (architecture, implied) = match processor.as_str() {
            "x86_64" | "x86-64" => ("amd64", None),
            "aarch64" => ("arm64", None),
            "i386" => ("386", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            other => (other, None),
        };
        let variant = variant.or_else(|| implied.map(str::to_owned));
        Ok(Self { architecture: architecture.to_owned(), os: os.to_owned(), variant, os_version: None })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_the_same_platform() {
        for (typed, printed) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
        ] {
            assert_eq!(typed.parse::<Platform>().expect(typed).to_string(), printed);
        }
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_variant_means_the_usual_one() {
        let platform = |text: &str| text.parse::<Platform>().expect(text);
        assert!(platform("linux/arm64").fits(&platform("linux/arm64/v8")));
        assert!(platform("linux/arm/v6").fits(&platform("linux/arm")));
        assert!(!platform("linux/arm/v6").fits(&platform("linux/arm/v7")));
        assert!(!platform("linux/amd64").fits(&platform("linux/arm64")));
    }
}
