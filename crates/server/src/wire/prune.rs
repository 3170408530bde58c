//! The filters of a prune: wire → engine.

use dhow_engine::{Filters, PruneOptions, none_left};
use dhow_errdefs::{Error, Result};
use jiff::Timestamp;

/// Reads `until`, `label` and `label!`.
///
/// # Errors
/// `InvalidArgument` in Docker's words for others, and for what is no time.
pub(crate) fn options(mut filters: Filters) -> Result<PruneOptions> {
    let mut take = |key: &str| filters.remove(key).unwrap_or_default();
    let until = match &take("until")[..] {
        [] => None,
        [until] => Some(dhow_image::moment(until, Timestamp::now())?),
        _ => return Err(Error::invalid("more than one until filter specified")),
    };
    let options = PruneOptions { until, labels: take("label"), not_labels: take("label!") };
    none_left(&filters).map(|()| options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prune_may_be_narrowed() {
        let filters = |pairs: &[(&str, &str)]| {
            let mut filters = Filters::new();
            for (key, value) in pairs {
                filters.entry((*key).to_owned()).or_default().push((*value).to_owned());
            }
            options(filters)
        };
        let options = filters(&[("until", "24h"), ("label", "a"), ("label!", "b=c")]).expect("good");
        assert!(options.until.is_some_and(|until| until < Timestamp::now()));
        assert_eq!((options.labels, options.not_labels), (vec!["a".to_owned()], vec!["b=c".to_owned()]));
        assert!(filters(&[("until", "1h"), ("until", "2h")]).is_err() && filters(&[("until", "soon")]).is_err());
        assert_eq!(filters(&[("name", "x")]).expect_err("no such filter").to_string(), "invalid filter 'name'");
    }
}
