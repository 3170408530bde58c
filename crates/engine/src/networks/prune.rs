//! `docker network prune`.

use std::sync::PoisonError;

use dhow_network::model::Network;
use jiff::Timestamp;

use crate::PruneOptions;
use crate::core::Core;

fn fits(options: &PruneOptions, network: &Network) -> bool {
    let before = |until: Timestamp| i128::from(network.created) < until.as_nanosecond();
    !network.is_predefined()
        && !network.spec.config_only
        && options.until.is_none_or(before)
        && options.fits_labels(&network.spec.labels)
}

impl Core {
    /// Removes the networks that nobody is in. Blocks. One that cannot be removed does not keep the others.
    pub(super) fn prune_networks(&self, options: &PruneOptions) -> Vec<String> {
        let _changing = self.networks.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = Vec::new();
        for network in self.networks.all() {
            if !fits(options, &network) || !self.networks.users(&network.id).is_empty() {
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
        let all = PruneOptions::default();
        assert!(fits(&all, &network("n")) && !fits(&all, &network("bridge")));
        let until = PruneOptions { until: Some(Timestamp::UNIX_EPOCH), ..all.clone() };
        assert!(!fits(&until, &network("n")));
        assert!(!fits(&PruneOptions { not_labels: vec!["keep".into()], ..all.clone() }, &network("n")));
        assert!(!fits(&PruneOptions { labels: vec!["other".into()], ..all }, &network("n")));
    }
}
