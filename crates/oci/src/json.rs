//! Reading the JSON of others.

use dhow_errdefs::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// A document that is a JSON object. (A struct could also be read from a list of its fields.)
pub(crate) fn document<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    let invalid = || Error::invalid(format!("invalid {what}"));
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid().with_cause("it is no JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| invalid().with_cause(error))
}

/// `null` where a list, a map or a text should be: Go writes empty ones so. For `deserialize_with`,
/// together with `default`.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
