//! The commands, one file each.

mod attach;
mod commit;
mod completion;
mod context_create;
mod context_export;
mod context_import;
mod context_inspect;
mod context_ls;
mod context_rm;
mod context_show;
mod context_update;
mod context_use;
mod cp;
mod create;
mod dial_stdio;
mod diff;
mod events;
mod exec;
mod export;
mod history;
mod image_tree;
mod images;
mod import;
mod info;
mod inspect;
mod interact;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest;
mod network_connect;
mod network_create;
mod network_exposure;
mod network_ls;
mod network_rm;
mod new;
mod pause;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod stats;
mod stop;
#[cfg(test)]
mod surface;
mod system_check;
mod system_df;
mod tag;
mod top;
mod update;
mod version;
mod volume_backup;
mod volume_copies;
mod volume_create;
mod volume_ls;
mod volume_rm;
mod volume_update;
mod wait;

use crate::command::Command;

/// What `--version` calls the build.
pub const BUILD: &str = match option_env!("DHOW_BUILD") {
    Some(build) => build,
    None => "unknown",
};

/// Groups of commands and what they are about.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("container", "Manage containers"),
    ("context", "Manage contexts: engines with names"),
    ("image", "Manage images"),
    ("manifest", "Manage manifests and lists of manifests"),
    ("network", "Manage networks"),
    ("system", "Manage the engine"),
    ("volume", "Manage volumes"),
];

/// Commands that help shows first, in this order.
pub(crate) const COMMON: &[&str] = &["run", "exec", "ps", "pull", "push", "images", "version", "info"];

/// Every command, in the order of help.
pub(crate) static ALL: &[&Command] = &[
    &attach::ATTACH,
    &commit::COMMIT,
    &cp::CP,
    &create::CREATE,
    &diff::DIFF,
    &exec::EXEC,
    &export::EXPORT,
    &inspect::CONTAINER_INSPECT,
    &kill::KILL,
    &logs::LOGS,
    &ps::PS,
    &prune::CONTAINER_PRUNE,
    &pause::PAUSE,
    &port::PORT,
    &rename::RENAME,
    &restart::RESTART,
    &rm::RM,
    &run::RUN,
    &start::START,
    &stats::STATS,
    &stop::STOP,
    &top::TOP,
    &pause::UNPAUSE,
    &update::UPDATE,
    &wait::WAIT,
    &history::HISTORY,
    &import::IMPORT,
    &inspect::IMAGE_INSPECT,
    &load::LOAD,
    &images::IMAGES,
    &prune::IMAGE_PRUNE,
    &pull::PULL,
    &push::PUSH,
    &rmi::RMI,
    &save::SAVE,
    &tag::TAG,
    &context_create::CREATE,
    &context_export::EXPORT,
    &context_import::IMPORT,
    &context_inspect::INSPECT,
    &context_ls::LS,
    &context_rm::RM,
    &context_show::SHOW,
    &context_update::UPDATE,
    &context_use::USE,
    &network_connect::CONNECT,
    &network_create::CREATE,
    &network_connect::DISCONNECT,
    &network_exposure::EXPOSURE,
    &inspect::NETWORK_INSPECT,
    &network_ls::LS,
    &prune::NETWORK_PRUNE,
    &network_rm::RM,
    &completion::COMPLETION,
    &login::LOGIN,
    &logout::LOGOUT,
    &manifest::ANNOTATE,
    &manifest::CREATE,
    &manifest::INSPECT,
    &manifest::PUSH,
    &manifest::RM,
    &search::SEARCH,
    &system_check::SYSTEM_CHECK,
    &system_df::SYSTEM_DF,
    &events::EVENTS,
    &info::INFO,
    &inspect::INSPECT,
    &prune::SYSTEM_PRUNE,
    &version::VERSION,
    &volume_backup::BACKUP,
    &volume_copies::CLONE,
    &volume_create::CREATE,
    &volume_backup::IMPORT,
    &inspect::VOLUME_INSPECT,
    &volume_ls::LS,
    &volume_copies::PROTECT,
    &prune::VOLUME_PRUNE,
    &volume_copies::RENAME,
    &volume_copies::RESTORE,
    &volume_rm::RM,
    &volume_copies::SNAPSHOT,
    &volume_update::UPDATE,
];

/// Commands and groups that came after the API's first versions, and the minor version that brought them.
const SINCE: &[(&str, u16)] = &[
    ("network", 21),
    ("volume", 21),
    ("container prune", 25),
    ("image prune", 25),
    ("network prune", 25),
    ("system df", 25),
    ("system prune", 25),
    ("volume prune", 25),
    ("volume update", 42),
];

/// The minor version of the API that an engine needs for a command of that name; 0 for any.
pub(crate) fn since(name: &str) -> u16 {
    let is = |of: &str| name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    SINCE.iter().filter(|(of, _)| is(of)).map(|(_, minor)| *minor).max().unwrap_or(0)
}

/// Commands that programs call and people need not know.
pub(crate) static HIDDEN: &[&Command] = &[&dial_stdio::DIAL_STDIO];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_version_of_their_group_or_a_later_one() {
        assert_eq!(["ps", "network ls", "network prune", "volume update"].map(since), [0, 21, 25, 42]);
        let known = |name: &str| {
            GROUPS.iter().any(|(group, _)| *group == name) || ALL.iter().any(|command| command.names.contains(&name))
        };
        assert!(SINCE.iter().all(|(name, _)| known(name)));
    }
}
