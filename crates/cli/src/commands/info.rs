//! `info`.

use std::fmt::Write;

use dhow_api::system::Info;
use dhow_errdefs::{Error, Result};
use serde::Serialize;

use super::version::Client;
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::format::{Document, binary};
use crate::output;
use crate::session::Session;

pub(super) static INFO: Command = Command {
    names: &["system info", "info"],
    usage: "[OPTIONS]",
    summary: "Describe the engine and its host",
    flags: &[&[
        Flag::text("format", "How to print:\n'json':             JSON\n'TEMPLATE':         a Go template").short(b'f')
    ]],
    arguments: Arguments::None,
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let format = flags.text("format");
    if format.is_empty() {
        output::text(&format!(
            "Client:\n Version:    {}\n Context:    {}\n Debug Mode: {}\n\nServer:\n",
            session.program_version(),
            session.context(),
            session.debug()
        ))?;
    }
    let info = match ask(session).await {
        Ok(info) => info,
        Err(error) if matches!(format, "" | "json") => return Err(error.into()),
        Err(error) => return output::ended(Err(error.into())),
    };
    match format {
        "" => {
            output::text(&text(&info))?;
            info.warnings.iter().flatten().for_each(|warning| output::note(warning));
        }
        "json" => output::line(&json(session, &info)?)?,
        template => {
            let document = Document::new(json(session, &info)?, "system.dockerInfo");
            let text = document.execute(template).map_err(|error| Failure::of_template(&error, ""));
            output::line(&output::ended(text)?)?;
        }
    }
    Ok(0)
}

async fn ask(session: &Session) -> Result<Info> {
    session.client().await?.info().await
}

/// The engine's answer with the client's part at the end.
fn json(session: &Session, info: &Info) -> Result<String> {
    let failed = |cause| Error::internal("encode the information").with_cause(cause);
    let engine = serde_json::to_string(info).map_err(failed)?;
    let client =
        ClientInfo { debug: session.debug(), version: Client::new(session, None), plugins: [], warnings: None };
    let client = serde_json::to_string(&client).map_err(failed)?;
    let open = engine.strip_suffix('}').unwrap_or(&engine);
    Ok(format!("{open},\"ClientInfo\":{client}}}"))
}

/// What is known without the engine.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientInfo {
    debug: bool,
    #[serde(flatten)]
    version: Client,
    plugins: [(); 0],
    warnings: Option<()>,
}

/// Lines of `name: value`, deeper ones with more blanks before them.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        writeln!(self.0, " {name}: {value}").expect("writing to a String cannot fail");
    }

    fn some(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.add(name, value);
        }
    }

    fn head(&mut self, name: &str) {
        writeln!(self.0, " {name}:").expect("writing to a String cannot fail");
    }
}

fn text(info: &Info) -> String {
    let mut lines = Lines(String::new());
    lines.add("Containers", info.containers);
    lines.add(" Running", info.containers_running);
    lines.add(" Paused", info.containers_paused);
    lines.add(" Stopped", info.containers_stopped);
    lines.add("Images", info.images);
    lines.some("Server Version", &info.server_version);
    lines.some("Storage Driver", &info.driver);
    info.driver_status.iter().for_each(|[name, value]| lines.add(&format!(" {name}"), value));
    lines.some("Logging Driver", &info.logging_driver);
    lines.some("Cgroup Driver", &info.cgroup_driver);
    lines.some("Cgroup Version", &info.cgroup_version);
    lines.head("Plugins");
    lines.add(" Volume", info.plugins.volume.join(" "));
    lines.add(" Network", info.plugins.network.join(" "));
    if let Some(plugins) = info.plugins.authorization.as_ref().filter(|plugins| !plugins.is_empty()) {
        lines.add(" Authorization", plugins.join(" "));
    }
    lines.add(" Log", info.plugins.log.join(" "));
    devices(info, &mut lines);
    lines.add("Swarm", &info.swarm.local_node_state);
    runtimes(info, &mut lines);
    security(info, &mut lines);
    host(info, &mut lines);
    registries(info, &mut lines);
    lines.add("Live Restore Enabled", info.live_restore_enabled);
    lines.some("Product License", &info.product_license);
    lines.0.push('\n');
    lines.0
}

fn devices(info: &Info, lines: &mut Lines) {
    let folders = info.cdi_spec_dirs.as_deref().unwrap_or_default();
    if !folders.is_empty() {
        lines.head("CDI spec directories");
        folders.iter().for_each(|folder| lines.0 += &format!("  {folder}\n"));
    }
    if !info.discovered_devices.is_empty() {
        lines.head("Discovered Devices");
        info.discovered_devices.iter().for_each(|device| lines.add(&format!(" {}", device.source), &device.id));
    }
}

fn runtimes(info: &Info, lines: &mut Lines) {
    if !info.runtimes.is_empty() {
        lines.add("Runtimes", info.runtimes.keys().map(String::as_str).collect::<Vec<_>>().join(" "));
        lines.add("Default Runtime", &info.default_runtime);
    }
    if info.os_type == "linux" {
        lines.add("Init Binary", &info.init_binary);
        lines.add("containerd version", &info.containerd_commit.id);
        lines.add("runc version", &info.runc_commit.id);
        lines.add("init version", &info.init_commit.id);
    }
}

fn security(info: &Info, lines: &mut Lines) {
    if info.security_options.is_empty() {
        return;
    }
    lines.head("Security Options");
    for option in &info.security_options {
        let mut fields = option.split(',').filter_map(|field| field.split_once('='));
        let Some((_, name)) = fields.clone().find(|(key, _)| *key == "name") else {
            writeln!(lines.0, "  {option}").expect("writing to a String cannot fail");
            continue;
        };
        writeln!(lines.0, "  {name}").expect("writing to a String cannot fail");
        if let Some((_, profile)) = fields.find(|(key, _)| *key == "profile") {
            lines.add("  Profile", profile);
        }
    }
}

fn host(info: &Info, lines: &mut Lines) {
    lines.some("Kernel Version", &info.kernel_version);
    lines.some("Operating System", &info.operating_system);
    lines.some("OSType", &info.os_type);
    lines.some("Architecture", &info.architecture);
    lines.add("CPUs", info.cpus);
    #[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
    lines.add("Total Memory", binary(info.mem_total as f64));
    lines.some("Name", &info.name);
    lines.some("ID", &info.id);
    lines.some("Docker Root Dir", &info.docker_root_dir);
    lines.add("Debug Mode", info.debug);
    lines.some("HTTP Proxy", &info.http_proxy);
    lines.some("HTTPS Proxy", &info.https_proxy);
    lines.some("No Proxy", &info.no_proxy);
    if !info.labels.is_empty() {
        lines.head("Labels");
        info.labels.iter().for_each(|label| lines.0 += &format!("  {label}\n"));
    }
    lines.add("Experimental", info.experimental_build);
}

fn registries(info: &Info, lines: &mut Lines) {
    let Some(registries) = &info.registry_config else { return };
    let insecure = registries.index_configs.iter().filter(|(_, index)| index["Secure"] == false).map(|(name, _)| name);
    let insecure: Vec<&String> = insecure.chain(&registries.insecure_registry_cidrs).collect();
    if !insecure.is_empty() {
        lines.head("Insecure Registries");
        insecure.iter().for_each(|name| lines.0 += &format!("  {name}\n"));
    }
    if let Some(mirrors) = registries.mirrors.as_ref().filter(|mirrors| !mirrors.is_empty()) {
        lines.head("Registry Mirrors");
        mirrors.iter().for_each(|mirror| lines.0 += &format!("  {mirror}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dockers() {
        let info = br#"{"Containers":2,"Driver":"overlay2","DriverStatus":[["userxattr","false"]],"OSType":"linux",
            "SecurityOptions":["name=seccomp,profile=default","name=rootless"],"MemTotal":25276502016,"CDISpecDirs":["/etc/cdi"],"DiscoveredDevices":[{"Source":"cdi","ID":"v.com/c=a"}],"NCPU":2,
            "RegistryConfig":{"InsecureRegistryCIDRs":["127.0.0.0/8"]}}"#;
        let text = text(&dhow_api::json::from_slice(info).unwrap());
        for line in [
            " Containers: 2\n  Running: 0\n",
            " Storage Driver: overlay2\n  userxattr: false\n",
            " Security Options:\n  seccomp\n   Profile: default\n  rootless\n",
            " CDI spec directories:\n  /etc/cdi\n Discovered Devices:\n  cdi: v.com/c=a\n",
            " Total Memory: 23.54GiB\n",
            " Insecure Registries:\n  127.0.0.0/8\n Live Restore Enabled: false\n\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
