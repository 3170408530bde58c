//! `import`.

use dhow_api::stream::Message;
use dhow_client::{Import, Messages, Upload};
use dhow_errdefs::Result;
use dhow_oci::Reference;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::options::open_file;
use crate::output;
use crate::progress::failure;
use crate::session::Session;

pub(super) static IMPORT: Command = Command {
    names: &["image import", "import"],
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    summary: "Make an image from a tar archive of files",
    flags: &[&[
        Flag::list("change", "Apply a Dockerfile instruction to the image").short(b'c'),
        Flag::text("message", "Comment on the image").short(b'm'),
        Flag::text("platform", "Platform of the image").since(32),
    ]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    if let Some(name) = flags.args.get(1).filter(|name| !name.is_empty()) {
        Reference::parse(name)?;
    }
    let from = flags.args[0].as_str();
    let (source, body) = match from {
        "-" => ("-", Some(Upload::from_reader(std::io::stdin()))),
        url if url.starts_with("http://") || url.starts_with("https://") => (url, None),
        path => ("-", Some(Upload::from_reader(open_file(path)?))),
    };
    let import = Import {
        source: source.to_owned(),
        reference: flags.args.get(1).cloned().unwrap_or_default(),
        message: flags.text("message").to_owned(),
        changes: flags.strings("change"),
        platform: flags.text("platform").to_owned(),
    };
    let messages = session.client().await?.image_import(&import, body).await?;
    print(messages).await
}

/// Prints what the engine says, without the bars of progress.
pub(super) async fn print(mut messages: Messages) -> Outcome {
    while let Some(message) = next(&mut messages).await? {
        if message.progress_detail.is_some_and(|detail| detail.total > 0) {
            continue;
        }
        let said = if message.stream.is_empty() { format!("{}\n", message.status) } else { message.stream };
        output::text(if said == "\n" { "" } else { &said })?;
    }
    Ok(0)
}

async fn next(messages: &mut Messages) -> Result<Option<Message>> {
    match messages.next::<Message>().await? {
        Some(message) => failure(&message).map_or(Ok(Some(message)), Err),
        None => Ok(None),
    }
}
