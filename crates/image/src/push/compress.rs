//! Layers compressed on their way: the same bytes every time.

use std::io::Read;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::media;

use super::gzip::Gzip;

/// How layers are compressed that lie here uncompressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PushCompression {
    /// What every engine and registry can read.
    #[default]
    Gzip,
    /// Smaller and faster; engines older than 2021 cannot read it.
    Zstd,
}

/// Half as long as at the usual level (6), for eight percent more bytes of a Debian's programs.
const GZIP_LEVEL: u32 = 2;

const ZSTD_LEVEL: i32 = 3;

impl std::str::FromStr for PushCompression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            other => Err(Error::invalid(format!("unknown compression {other:?}: it is gzip or zstd"))),
        }
    }
}

impl PushCompression {
    /// The media type of such a layer.
    pub(super) fn layer_type(self) -> &'static str {
        match self {
            Self::Gzip => media::OCI_LAYER_GZIP,
            Self::Zstd => media::OCI_LAYER_ZSTD,
        }
    }

    /// The compressed stream. No time, name or number of threads goes into it.
    pub(super) fn of<'a>(self, plain: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(Gzip::new(plain, GZIP_LEVEL)),
            Self::Zstd => {
                let encoder = zstd::stream::read::Encoder::new(plain, ZSTD_LEVEL);
                Box::new(encoder.context(|| "compress a layer")?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;

    #[test]
    fn the_same_bytes_come_out_every_time_and_back_again() {
        let plain: Vec<u8> = (0..300_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        for compression in [PushCompression::Gzip, PushCompression::Zstd] {
            let packed = || {
                let mut bytes = Vec::new();
                compression.of(&plain[..]).unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            };
            let first = packed();
            assert_eq!(first, packed());
            let (found, mut back) = stream::open(&first[..]).unwrap();
            assert_eq!(found.layer_type(), compression.layer_type());
            let mut unpacked = Vec::new();
            back.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain);
        }
    }

    #[test]
    fn compressions_have_names() {
        assert_eq!("zstd".parse::<PushCompression>().unwrap(), PushCompression::Zstd);
        assert!("xz".parse::<PushCompression>().is_err());
    }
}
