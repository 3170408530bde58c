//! `port`.

use dhow_api::container::PortBinding;
use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::options::in_order;
use crate::output;
use crate::session::Session;

pub(super) static PORT: Command = Command {
    names: &["container port", "port"],
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    summary: "Show where a container's ports are published",
    flags: &[],
    arguments: Arguments::Between(1, 2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

fn address(binding: &PortBinding) -> String {
    match binding.host_ip.contains(':') {
        true => format!("[{}]:{}", binding.host_ip, binding.host_port),
        false => format!("{}:{}", binding.host_ip, binding.host_port),
    }
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = &flags.args[0];
    let container = session.client().await?.container_inspect(name).await?;
    let ports = in_order(&container.network_settings.ports);
    let mut text = String::new();
    if let Some(asked) = flags.args.get(1) {
        let (port, protocol) = asked.split_once('/').unwrap_or((asked, "tcp"));
        let number: u16 = port.parse().map_err(|_| {
            Error::invalid(format!("Error: invalid port ({port}): strconv.ParseUint: parsing {port:?}: invalid syntax"))
        })?;
        let Some(bindings) = ports.get(&(number, protocol)).filter(|bindings| !bindings.is_empty()) else {
            return Err(Error::not_found(format!("Error: No public port '{asked}' published for {name}")).into());
        };
        bindings.iter().for_each(|binding| text += &format!("{}\n", address(binding)));
    } else {
        for ((port, protocol), bindings) in ports {
            bindings.iter().for_each(|binding| text += &format!("{port}/{protocol} -> {}\n", address(binding)));
        }
    }
    output::text(&text)?;
    Ok(0)
}
