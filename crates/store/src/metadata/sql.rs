//! From SQLite's errors and values to ours.

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::Digest;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};

/// Puts a step around an error of SQLite and finds its class.
pub(super) fn failed(step: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| {
        let class = class(&error);
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let error = Error::new(class, format!("metadata: {step}")).with_cause(error);
        if full { error.context("no space left on device").with_hint(MAKE_ROOM) } else { error }
    }
}

const MAKE_ROOM: &str = "free some space on the disk of the data root: `system df` shows what takes it, `system prune` and \
                         `rm` free it in any case";

pub(super) fn class(error: &rusqlite::Error) -> Class {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Class::DataLoss,
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory | ErrorCode::TooBig) => Class::ResourceExhausted,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Class::Unavailable,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Class::PermissionDenied,
        Some(ErrorCode::ConstraintViolation) => Class::Conflict,
        None if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => Class::DataLoss,
        _ => Class::Internal,
    }
}

/// The digest in a column; NULL is not one.
pub(super) fn digest(row: &Row, column: usize) -> rusqlite::Result<Digest> {
    parse(column, &row.get::<_, String>(column)?)
}

/// The digest in a column that may be NULL.
pub(super) fn optional_digest(row: &Row, column: usize) -> rusqlite::Result<Option<Digest>> {
    row.get::<_, Option<String>>(column)?.map(|text| parse(column, &text)).transpose()
}

fn parse(column: usize, text: &str) -> rusqlite::Result<Digest> {
    text.parse().map_err(|error: Error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

/// Sizes are kept as SQLite's signed 64-bit integers.
pub(super) fn size(row: &Row, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).cast_unsigned())
}

/// The signed form of a size.
pub(super) fn to_sql(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Refuses what would be a pattern or a different query: a prefix of an ID is hexadecimal.
pub(super) fn hex_prefix(prefix: &str) -> Result<&str> {
    if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        Ok(prefix)
    } else {
        Err(Error::invalid(format!("{prefix:?} is not a prefix of an ID")))
    }
}

/// The rows of a query, each read by `read`.
pub(super) fn rows<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
}

/// The only row of a query, if there is one.
pub(super) fn row<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnOnce(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row(parameters, read).optional()
}
