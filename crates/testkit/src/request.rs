//! HTTP requests as servers of tests read them.

use std::io::{self, BufRead, Read};

/// The head of a request.
#[derive(Debug, Clone)]
pub struct Request {
    /// As in `GET`.
    pub method: String,
    /// Path and query, as in `/v2/app/tags/list?n=5`.
    pub target: String,
    fields: Vec<(String, String)>,
}

impl Request {
    /// The next one; nothing when the client has gone.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = from.lines();
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut fields = Vec::new();
        for line in lines {
            let line = line?;
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        Ok(Some(Self { method, target, fields }))
    }

    /// A header's value; empty without it.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map_or("", |(_, value)| value)
    }

    /// The body, of which the length must be told.
    pub(crate) fn body(&self, from: impl Read) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        from.take(self.header("Content-Length").parse().unwrap_or(0)).read_to_end(&mut body)?;
        Ok(body)
    }

    /// The head once more, for one answer and no further one.
    pub(crate) fn once(&self) -> String {
        let kept = self.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Connection"));
        let fields: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{} {} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n", self.method, self.target)
    }
}
