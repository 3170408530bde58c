//! How things are shown: sizes, times, tables, templates.

mod ago;
mod document;
mod functions;
mod json;
mod moment;
mod number;
mod printf;
mod rewrite;
mod rows;
mod shape;
mod size;
mod table;
mod template;
mod view;

pub(crate) use ago::since_then;
pub(crate) use document::Document;
use json::quote;
pub(crate) use json::{compact, indent, indent_by};
use moment::go_duration;
pub(crate) use moment::{go_time, local, local_nanos, parse_duration, rfc3339, spelled, timestamp};
use number::general;
pub(crate) use rows::{Column, Format, Row, json as row_json, show, show_names};
pub(crate) use size::{binary, decimal, decimal_3, parse_bytes};
pub(crate) use table::{Table, ellipsis, short_id};
