//! `docker network prune`.

use std::sync::PoisonError;

use dhow_network::model::Network;
use jiff::Timestamp;

use super::filter::has_label;
use crate::core::Core;

/// Which of the networks that nobody is in are to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkPruneOptions {
    /// Only those that were made before.
    pub until: Option<Timestamp>,
    /// Only those with all of these labels, `name` or `name=value`.
    pub labels: Vec<String>,
    /// Only those with none of these.
    pub not_labels: Vec<String>,
}

impl NetworkPruneOptions {
    fn fits(&self, network: &Network) -> bool {
        let before = |until: Timestamp| i128::from(network.created) < until.as_nanosecond();
        !network.is_predefined()
            && self.until.is_none_or(before)
            && self.labels.iter().all(|label| has_label(network, label))
            && !self.not_labels.iter().any(|label| has_label(network, label))
    }
}

impl Core {
    /// Removes the networks that nobody is in. Blocks. One that cannot be removed does not keep the others.
    pub(super) fn prune_networks(&self, options: &NetworkPruneOptions) -> Vec<String> {
        let _changing = self.networks.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = Vec::new();
        for network in self.networks.all() {
            if !options.fits(&network) || !self.networks.users(&network.id).is_empty() {
                continue;
            }
            match self.remove_found(&network) {
                Ok(()) => removed.push(network.spec.name.clone()),
                // Somebody has just entered it, which is their right.
                Err(error) => tracing::warn!(id = network.id, %error, "not pruned"),
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_network::model::NetworkSpec;

    #[test]
    fn only_what_was_asked_for_is_removed() {
        let network = |name: &str| {
            let labels = [("keep".to_owned(), String::new())].into();
            let spec = NetworkSpec { name: name.into(), labels, ..NetworkSpec::default() };
            Network { id: "a".into(), spec, pools: Vec::new(), created: 1_000 }
        };
        let all = NetworkPruneOptions::default();
        assert!(all.fits(&network("n")) && !all.fits(&network("bridge")));
        let until = NetworkPruneOptions { until: Some(Timestamp::UNIX_EPOCH), ..all.clone() };
        assert!(!until.fits(&network("n")));
        assert!(!NetworkPruneOptions { not_labels: vec!["keep".into()], ..all.clone() }.fits(&network("n")));
        assert!(!NetworkPruneOptions { labels: vec!["other".into()], ..all }.fits(&network("n")));
    }
}
