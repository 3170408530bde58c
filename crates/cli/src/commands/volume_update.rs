//! `volume update`.

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::session::Session;

/// `--availability`, which `volume create` has too.
pub(super) const AVAILABILITY: Flag =
    Flag::text("availability", "\"active\", \"pause\" or \"drain\" (clusters)").since(42).default("active");

pub(super) static UPDATE: Command = Command {
    names: &["volume update"],
    usage: "[OPTIONS] VOLUME",
    summary: "Change a volume of a cluster",
    flags: &[&[AVAILABILITY]],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// dhow knows no clusters, and so no volume that could be changed: only whether it is there is asked.
async fn run(session: &Session, flags: &Parsed) -> Outcome {
    session.client().await?.raw(&format!("/volumes/{}", dhow_api::query::encode(&flags.args[0]))).await?;
    Err(Error::invalid("can only update cluster volumes").into())
}
