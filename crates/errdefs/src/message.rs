//! Texts that Docker's clients compare letter for letter, all in this one file.
//!
//! Source: the answers of dockerd (20.10 and 28) on the wire.

/// What everything answers that only a manager of a swarm can do.
pub const NO_SWARM_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
                                    connect this node to swarm and try again.";

/// What leaving a swarm answers where there is none.
pub const NO_SWARM: &str = "This node is not part of a swarm";

/// What a network that is only a configuration cannot have.
pub const CONFIGURATION_ONLY: &str = "configuration network can only contain network specific fields. Network operator \
                                      fields like [ ingress | internal | attachable | scope ] are not supported.";

/// `No such container: x`.
#[must_use]
pub fn no_such_container(reference: &str) -> String {
    format!("No such container: {reference}")
}

/// `No such image: x`; Docker prints the reference with its tag.
#[must_use]
pub fn no_such_image(reference: &str) -> String {
    format!("No such image: {reference}")
}

/// `No such exec instance: x`.
#[must_use]
pub fn no_such_exec(id: &str) -> String {
    format!("No such exec instance: {id}")
}

/// `multiple IDs found with provided prefix: x`.
#[must_use]
pub fn ambiguous_prefix(prefix: &str) -> String {
    format!("multiple IDs found with provided prefix: {prefix}")
}

/// `container x is not running`; clients look for the words `is not running`.
#[must_use]
pub fn not_running(id: &str) -> String {
    format!("container {id} is not running")
}

/// The conflict of container names, in Docker's words.
#[must_use]
pub fn name_in_use(name: &str, holder: &str) -> String {
    format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )
}
