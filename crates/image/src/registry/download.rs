//! A file from a web server: `import URL`.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use dhow_errdefs::{Error, Result};
use reqwest::{Response, Url};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Registries;
use super::endpoint::Way;
use super::failure::of_transport;

/// How long a server may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes from a server, as it comes. Reading blocks.
#[derive(Debug)]
pub struct Download {
    url: Url,
    runtime: Handle,
    response: Response,
    rest: Bytes,
}

impl Registries {
    /// Begins to fetch a file. Without a scheme it is `http://`, as in Docker. Certificates and proxies are those of the
    /// registries. Blocks until the server answers.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for what is no address of a web server,
    /// [`Unavailable`](dhow_errdefs::Class::Unavailable) when nobody answers, and a refusal in Docker's words.
    pub fn download(&self, source: &str) -> Result<Download> {
        let url = address(source)?;
        let client = self.client(&Way::to_file(&self.settings, &url))?;
        let answer = self.runtime.block_on(async { timeout(PATIENCE, client.get(url.clone()).send()).await });
        let late = |_| Error::deadline(format!("Get {:?}: the server does not answer", url.as_str()));
        let response = answer.map_err(late)?.map_err(|error| of_transport("Get", url.as_str(), error))?;
        if !response.status().is_success() {
            let status = response.status();
            let words = status.canonical_reason().unwrap_or_default();
            let text = format!("Got HTTP status code >= 400: {} {words}", status.as_u16());
            return Err(Error::internal(text.trim_end()));
        }
        Ok(Download { url, runtime: self.runtime.clone(), response, rest: Bytes::new() })
    }
}

impl Download {
    /// What is fetched.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let next = self.runtime.block_on(async { timeout(PATIENCE, self.response.chunk()).await });
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the server sends nothing any more");
            match next.map_err(late)?.map_err(|error| io::Error::other(error.without_url()))? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

fn address(source: &str) -> Result<Url> {
    let whole = if source.contains("://") { source.to_owned() } else { format!("http://{source}") };
    let url =
        Url::parse(&whole).map_err(|cause| Error::invalid(format!("invalid URL {source:?}")).with_cause(cause))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(Error::invalid(format!("unsupported protocol scheme {other:?} in {source:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_web_servers() {
        assert_eq!(address("h/rootfs.tar").unwrap().as_str(), "http://h/rootfs.tar");
        assert_eq!(address("https://h/rootfs.tar").unwrap().as_str(), "https://h/rootfs.tar");
        for bad in ["file:///etc/shadow", "ftp://h/x", "http://", "unix:///run/x.sock"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
