//! What differs between two plays of one script by nature: ids, times, durations, pids, the world's folder.

use std::path::Path;
use std::sync::OnceLock;

use regex_lite::{Captures, Regex};

/// Patterns and what stands for what they match. Forms are kept, so that a time written in another way is a difference.
const MASKS: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\b[0-9a-f]{12}\b", "<short id>"),
    // Seconds with as many digits behind the point as are not 0.
    (r"\b20\d\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?", "<day>${1}<time>"),
    (
        r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d 20\d\d\b",
        "<date>",
    ),
    (r"\b(\d+|About an?|Less than a) (second|minute|hour)s?( ago)?", "<duration>${3}"),
    (r"\bdocker-import-\d+\b", "<temporary folder>"),
    // Seconds or nanoseconds since 1970.
    (r"\b1[789]\d{8}(\d{9})?\b", "<moment>"),
    (r#""Pid": ?[1-9]\d*"#, r#""Pid": <pid>"#),
];

/// The text with everything masked.
pub(crate) fn output(root: &Path, text: &str) -> String {
    static REGEXES: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let compile = |&(pattern, mask): &(&str, &'static str)| (Regex::new(pattern).expect("it is right"), mask);
    let regexes = REGEXES.get_or_init(|| MASKS.iter().map(compile).collect());
    let text = text.replace(&*root.to_string_lossy(), "<world>");
    let masked = regexes.iter().fold(text, |text, (regex, mask)| regex.replace_all(&text, *mask).into_owned());
    if masked.contains("<duration>") { narrow(&masked) } else { masked }
}

/// Columns beside a duration are as wide as that is: the blanks say nothing then.
fn narrow(text: &str) -> String {
    static BLANKS: OnceLock<Regex> = OnceLock::new();
    let blanks = BLANKS.get_or_init(|| Regex::new("   +").expect("it is right"));
    blanks.replace_all(text, |_: &Captures<'_>| "  ").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        output(Path::new("/tmp/dhow-1"), text)
    }

    #[test]
    fn what_changes_is_masked_and_its_form_is_kept() {
        assert_eq!(masked(&format!("sha256:{}", "ab1".repeat(21) + "c")), "sha256:<id>");
        assert_eq!(masked("0123456789ab  /tmp/dhow-1/x"), "<short id>  <world>/x");
        assert_eq!(masked("2026-01-02T03:04:05.678Z"), "<day>T<time>Z");
        assert_eq!(masked("2026-01-02 03:04:05 +0000 UTC"), "<day> <time> +0000 UTC");
        assert_eq!(masked("Exited (0) Less than a second ago      x"), "Exited (0) <duration> ago  x");
        assert_eq!(masked("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        assert_eq!(masked("\"Pid\": 17, \"Pid\": 0"), "\"Pid\": <pid>, \"Pid\": 0");
    }

    #[test]
    fn what_is_the_same_each_time_stays() {
        for text in ["172.17.0.2", "4.05MB", "exit 137", "a  b      c", "deadbeef"] {
            assert_eq!(masked(text), text);
        }
    }
}
