//! Tables with Docker's columns: at least ten wide, of which three are blanks between.

use std::io::Write;

use tabwriter::TabWriter;

/// Rows of cells, the header first.
pub(crate) struct Table(TabWriter<Vec<u8>>);

impl Table {
    pub(crate) fn new() -> Self {
        Self(TabWriter::new(Vec::new()).minwidth(7).padding(3))
    }

    /// Columns at least twenty wide, as those of `top`.
    pub(crate) fn wide() -> Self {
        Self(TabWriter::new(Vec::new()).minwidth(17).padding(3))
    }

    pub(crate) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let mut line = String::new();
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                line.push('\t');
            }
            line.push_str(cell);
        }
        self.line(&line);
    }

    /// A row whose cells are separated by tabs already.
    pub(crate) fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("writing to memory cannot fail");
    }

    pub(crate) fn finish(self) -> String {
        let bytes = self.0.into_inner().map(String::from_utf8);
        bytes.ok().and_then(Result::ok).expect("text in memory stays text")
    }
}

/// The first twelve digits of an id, without the algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let digits = id.split_once(':').map_or(id, |(_, digits)| digits);
    digits.get(..12).unwrap_or(digits)
}

/// At most `width` characters, with `…` as the last one where something was cut off.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) if width == 0 => String::new(),
        Some(_) => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dockers() {
        let mut table = Table::new();
        table.row(["CONTAINER ID", "IMAGE", "PORTS", "NAMES"]);
        table.row(["ecacf71d8175", "busybox", "", "c1"]);
        let expected = "CONTAINER ID   IMAGE     PORTS     NAMES\necacf71d8175   busybox             c1\n";
        assert_eq!(table.finish(), expected);
    }

    #[test]
    fn long_text_ends_in_one_character() {
        assert_eq!(ellipsis("1234567890", 10), "1234567890");
        assert_eq!(ellipsis("12345678901", 10), "123456789…");
        assert_eq!(ellipsis("ääää", 3), "ää…");
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
    }
}
