//! Telling the engine what the log has lost, without a flood of messages.

use std::time::{Duration, Instant};

use dhow_logs::Losses;

/// Between two reports.
const PAUSE: Duration = Duration::from_secs(1);

/// What was told, and when.
#[derive(Debug, Default)]
pub(super) struct LossReports {
    told: Losses,
    at: Option<Instant>,
}

impl LossReports {
    /// How long there is until the next report; `None`: there is nothing to be told.
    pub(super) fn rest(&self, losses: Losses) -> Option<Duration> {
        (losses != self.told).then(|| self.at.map_or(Duration::ZERO, |at| PAUSE.saturating_sub(at.elapsed())))
    }

    /// What is to be told now.
    pub(super) fn due(&mut self, losses: Losses) -> Option<Losses> {
        self.rest(losses).filter(Duration::is_zero)?;
        (self.told, self.at) = (losses, Some(Instant::now()));
        Some(losses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_told_at_once_and_more_of_them_together() {
        let mut reports = LossReports::default();
        let losses = |disk| Losses { disk, remote: 0 };
        assert_eq!(reports.rest(losses(0)), None);
        assert_eq!(reports.due(losses(1)), Some(losses(1)));
        assert_eq!(reports.due(losses(1)), None);
        assert_eq!(reports.due(losses(2)), None);
        assert!(reports.rest(losses(2)).is_some_and(|rest| !rest.is_zero() && rest <= PAUSE));
    }
}
