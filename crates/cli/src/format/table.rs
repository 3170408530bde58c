//! Tables with Docker's columns: at least ten wide, of which three are blanks between.

/// Blanks between two columns, at least.
const PADDING: usize = 3;

/// Rows of cells, the header first, aligned as Go's `text/tabwriter` does it: a column is as wide as its widest cell in
/// neighbouring rows that have it, and the last cell of a row belongs to none. Characters are counted, as in Go, whatever
/// a terminal makes of them.
pub(crate) struct Table {
    /// Cells end with a tab, rows with a line feed.
    text: String,
    /// The narrowest column with its padding.
    least: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { text: String::new(), least: 10 }
    }

    /// Columns at least twenty wide, as those of `top`.
    pub(crate) fn wide() -> Self {
        Self { text: String::new(), least: 20 }
    }

    pub(crate) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.row_with(cells, |cell, text| text.push_str(cell));
    }

    /// A row whose cells are appended to the table's text.
    pub(crate) fn row_with<T>(&mut self, cells: impl IntoIterator<Item = T>, put: impl Fn(T, &mut String)) {
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            put(cell, &mut self.text);
        }
        self.text.push('\n');
    }

    /// A row whose cells are separated by tabs already.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(crate) fn finish(self) -> String {
        let blocks = Blocks::measure(&self);
        let mut blanks = blocks.of_cells.iter().map(|&(width, block)| blocks.widths[block] - width);
        let mut out = String::with_capacity(2 * self.text.len());
        for line in self.text.split_inclusive('\n') {
            let mut cells = line.split('\t').peekable();
            while let Some(cell) = cells.next() {
                out.push_str(cell);
                if cells.peek().is_some() {
                    out.extend(std::iter::repeat_n(' ', blanks.next().unwrap_or_default()));
                }
            }
        }
        out
    }
}

/// Columns in neighbouring rows that share their width.
#[derive(Default)]
struct Blocks {
    widths: Vec<usize>,
    /// Of each cell but the last of a row, in order: its own width, and its block.
    of_cells: Vec<(usize, usize)>,
}

impl Blocks {
    fn measure(table: &Table) -> Self {
        let mut blocks = Self::default();
        let mut open: Vec<usize> = Vec::new();
        for line in table.text.lines() {
            let mut column = 0;
            let mut rest = line;
            while let Some((cell, more)) = rest.split_once('\t') {
                if column == open.len() {
                    open.push(blocks.widths.len());
                    blocks.widths.push(table.least);
                }
                blocks.add(cell.chars().count(), open[column]);
                (column, rest) = (column + 1, more);
            }
            open.truncate(column);
        }
        blocks
    }

    fn add(&mut self, width: usize, block: usize) {
        self.widths[block] = self.widths[block].max(width + PADDING);
        self.of_cells.push((width, block));
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
    fn a_column_ends_where_a_row_has_no_cell_in_it() {
        let mut table = Table::new();
        for line in ["a\tb", "a long word\tb", "alone", "c\td\te", "", "ääääääääää\tf"] {
            table.line(line);
        }
        let expected = "a             b\na long word   b\nalone\nc         d         e\n\nääääääääää   f\n";
        assert_eq!(table.finish(), expected);
        assert_eq!(Table::new().finish(), "");
    }

    #[test]
    fn long_text_ends_in_one_character() {
        assert_eq!(ellipsis("1234567890", 10), "1234567890");
        assert_eq!(ellipsis("12345678901", 10), "123456789…");
        assert_eq!(ellipsis("ääää", 3), "ää…");
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
    }
}
