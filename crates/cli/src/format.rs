//! How things are shown: sizes, times, tables, templates.

mod ago;
mod functions;
mod json;
mod moment;
mod number;
mod rows;
mod size;
mod table;
mod template;

pub(crate) use ago::since_then;
use json::quote;
pub(crate) use json::{compact, indent, indent_by};
pub(crate) use moment::{go_time, local, local_nanos, parse_duration, rfc3339, spelled, timestamp};
use number::general;
pub(crate) use rows::{Column, Format, Row, json as row_json, show};
pub(crate) use size::{binary, decimal, decimal_3, parse_bytes};
pub(crate) use table::{Table, ellipsis, short_id};
pub(crate) use template::Document;
