//! `context inspect`.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use serde::Serialize;

use super::inspect::{FORMAT, joined, show};
use crate::command::{Arguments, Command};
use crate::context::{DEFAULT, Endpoint, Meta, Store};
use crate::failure::{Failure, Outcome};
use crate::flags::Parsed;
use crate::format::Document;
use crate::output;
use crate::session::Session;

pub(super) static INSPECT: Command = Command {
    names: &["context inspect"],
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    summary: "Show everything about contexts",
    flags: &[&[FORMAT]],
    arguments: Arguments::AtLeast(0),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(flatten)]
    meta: Meta,
    #[serde(rename = "TLSMaterial")]
    tls_material: BTreeMap<String, Vec<String>>,
    storage: Storage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    metadata_path: String,
    #[serde(rename = "TLSPath")]
    tls_path: String,
}

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let format = flags.text("format");
    let store = Store::new(session.config().folder());
    let current = [session.context().to_owned()];
    let names = if flags.args.is_empty() { &current[..] } else { &flags.args[..] };
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match inspect(session, &store, name)
            .and_then(|text| show(&Document::new(text, "context.contextWithTLSListing"), format))
        {
            Ok(text) => shown.push(text),
            Err(error) => failures.push(error.to_string()),
        }
    }
    output::text(&joined(&shown, format))?;
    if failures.is_empty() { Ok(0) } else { Err(Failure::text(failures.join("\n"))) }
}

fn inspect(session: &Session, store: &Store, name: &str) -> Result<String> {
    let inspected = if name == DEFAULT {
        let nowhere = || "<IN MEMORY>".to_owned();
        Inspected {
            meta: Meta::new(name, String::new(), Endpoint::new(session.default_host().to_owned(), false)),
            tls_material: BTreeMap::new(),
            storage: Storage { metadata_path: nowhere(), tls_path: nowhere() },
        }
    } else {
        let meta = store.read(name)?;
        let mut files = BTreeMap::<String, Vec<String>>::new();
        for (endpoint, file) in store.material(name)?.into_keys() {
            files.entry(endpoint).or_default().push(file);
        }
        let storage = Storage {
            metadata_path: store.meta_folder(name).display().to_string(),
            tls_path: store.tls_folder(name).display().to_string(),
        };
        Inspected { meta, tls_material: files, storage }
    };
    let text = serde_json::to_string(&inspected);
    let text = text.map_err(|cause| Error::internal("encode a context").with_cause(cause))?;
    // As Go's encoder writes it.
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}
