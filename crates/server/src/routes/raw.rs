//! A request that was read by hand because it wants the raw connection.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use dhow_api::query::Query;
use dhow_api::version::Version;
use dhow_errdefs::Result;

use crate::http::{Context, Hijack};

/// Such a request.
pub(crate) struct Raw {
    pub(crate) context: Arc<Context>,
    pub(crate) version: Version,
    pub(crate) name: String,
    pub(crate) query: Query,
    /// What the body is said to be.
    pub(crate) content_type: Option<Bytes>,
    pub(crate) body: Bytes,
}

/// What comes of it: nothing if it is an ordinary request after all.
pub(crate) type Prepared = Pin<Box<dyn Future<Output = Result<Option<Hijack>>> + Send>>;
