//! What was measured: a table for people, JSON for machines.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::shell::Result;

/// The measurements so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Value>,
}

impl Report {
    /// A race: dhow's time first; a ratio above 1 means that dhow is faster.
    pub(crate) fn race(&mut self, what: &str, promise: &str, medians: &[(&'static str, Duration)]) {
        let Some((_, ours)) = medians.first() else { return };
        println!("\n{what}   (promised: {promise})");
        let mut results = Vec::new();
        for (name, taken) in medians {
            let ratio = taken.as_secs_f64() / ours.as_secs_f64();
            println!("  {name:<28} {:>10.2} ms   {ratio:>7.2} x dhow", taken.as_secs_f64() * 1e3);
            results.push(json!({ "name": name, "ms": taken.as_secs_f64() * 1e3, "times_dhow": ratio }));
        }
        self.rows.push(json!({ "what": what, "promise": promise, "results": results }));
    }

    /// How much faster than a rival anybody can be at most, by the time of one who does nothing but what must be done.
    pub(crate) fn floor(&mut self, what: &str, (rival, theirs): (&str, Duration), floor: Duration) {
        let ratio = theirs.as_secs_f64() / floor.as_secs_f64();
        println!("  {rival} / floor {:>43.2} x", ratio);
        self.rows.push(json!({ "what": format!("{what}, floor"), "rival": rival, "at_most": ratio }));
    }

    /// So many of something, in that time; and how long all but one in a hundred waited at most.
    pub(crate) fn rate(&mut self, what: &str, promise: &str, (count, taken): (usize, Duration), p99: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "shown without fractions")]
        let rate = count as f64 / taken.as_secs_f64();
        let p99 = p99.as_secs_f64() * 1e3;
        println!("\n{what}   (promised: {promise})\n  dhow {rate:>36.0} /s, p99 {p99:.2} ms");
        self.rows.push(json!({ "what": what, "promise": promise, "per_second": rate, "p99_ms": p99 }));
    }

    /// A size or an amount of memory.
    pub(crate) fn size(&mut self, what: &str, promise: &str, bytes: u64) {
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let megabytes = bytes as f64 / 1e6;
        println!("\n{what}   (promised: {promise})\n  dhow {megabytes:>36.2} MB");
        self.rows.push(json!({ "what": what, "promise": promise, "megabytes": megabytes }));
    }

    /// A share of one processor.
    pub(crate) fn share(&mut self, what: &str, promise: &str, share: f64) {
        let percent = share * 100.0;
        println!("\n{what}   (promised: {promise})\n  dhow {percent:>36.2} %");
        self.rows.push(json!({ "what": what, "promise": promise, "percent": percent }));
    }

    /// Writes the JSON file.
    pub(crate) fn finish(self, path: &Path) -> Result {
        let text = serde_json::to_string_pretty(&json!({ "format": 1, "measurements": self.rows }));
        let text = text.map_err(|error| error.to_string())?;
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("\nwritten: {}", path.display());
        Ok(())
    }
}
