//! What a probe has to say, bounded.

use std::time::Duration;

/// Bytes that are kept, as in Docker.
const LIMIT: usize = 4096;

/// The beginning of an output.
#[derive(Debug, Default)]
pub(super) struct Output {
    kept: Vec<u8>,
    more: bool,
}

impl Output {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = LIMIT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.more |= bytes.len() > room;
    }

    /// Nothing more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.more || self.kept.len() == LIMIT
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.kept
    }

    /// As text, with dots where something is missing.
    pub(super) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.kept).into_owned();
        if self.more {
            text.push_str("...");
        }
        text
    }

    /// Docker's words for a probe that took too long.
    pub(super) fn too_slow(&self, timeout: Duration) -> String {
        let said = self.text();
        let colon = if said.is_empty() { "" } else { ": " };
        format!("Health check exceeded timeout ({}){colon}{said}", go_duration(timeout))
    }
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `300ms`.
fn go_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_secs_f64() * 1000.0);
    }
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    let seconds = Duration::new(seconds, duration.subsec_nanos()).as_secs_f64();
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_kept() {
        let mut output = Output::default();
        output.add(&[b'x'; LIMIT - 1]);
        output.add(b"yz");
        assert_eq!(output.text(), format!("{}y...", "x".repeat(LIMIT - 1)));
        let mut exact = Output::default();
        exact.add(&[b'x'; LIMIT]);
        assert_eq!(exact.text().len(), LIMIT);
    }

    #[test]
    fn lateness_is_told_in_dockers_words() {
        let mut output = Output::default();
        assert_eq!(output.too_slow(Duration::from_millis(300)), "Health check exceeded timeout (300ms)");
        output.add(b"so far");
        assert_eq!(output.too_slow(Duration::from_secs(90)), "Health check exceeded timeout (1m30s): so far");
        assert_eq!(
            [1500, 30_000, 3_600_000].map(|ms| go_duration(Duration::from_millis(ms))),
            ["1.5s", "30s", "1h0m0s"]
        );
    }
}
