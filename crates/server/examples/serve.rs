//! An engine behind a door and nothing else, to try other clients against: `serve FOLDER` answers on `FOLDER/socket`
//! until it is interrupted. It is its own shim and init.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use dhow_engine::spec::LogSpec;
use dhow_engine::{Config, Engine, Result};
use dhow_errdefs::ResultExt;
use dhow_server::Listener;
use dhow_sys::exe::ProtectedExe;
use tokio::net::UnixListener;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if std::path::Path::new(&args[0]).ends_with("docker-init") {
        return dhow_shim::init::main(&args[1..]);
    }
    match args.get(1) {
        Some(role) if role == "shim" => dhow_shim::main(&args[2..]),
        Some(folder) => {
            let runtime = tokio::runtime::Runtime::new().expect("threads for the engine");
            match runtime.block_on(serve(folder.into())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("serve: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        None => {
            eprintln!("usage: serve FOLDER");
            ExitCode::FAILURE
        }
    }
}

async fn serve(folder: PathBuf) -> Result<()> {
    let executable = ProtectedExe::open().context(|| "open this program")?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let config = Config {
        data_root: folder.join("data"),
        exec_root: folder.join("run"),
        executable: Arc::new(executable.into()),
        runtimes: BTreeMap::new(),
        default_runtime: "dhow".to_owned(),
        log: LogSpec { driver: "local".to_owned(), ..LogSpec::default() },
        cgroup_parent: format!("/dhow-{name}"),
        rootless: false,
        outlet: Err(dhow_engine::NoOutlet::default()),
        firewall: dhow_engine::FirewallPolicy::Own,
        forwarding: true,
        init: false,
        default_ulimits: Vec::new(),
        default_shm_size: 0,
        plugins: dhow_engine::PluginSettings::default(),
        labels: Vec::new(),
        embedded: BTreeMap::new(),
        registries: dhow_engine::RegistrySettings::default(),
        policy: Arc::default(),
        usual: dhow_engine::Usual::default(),
        device_folders: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let engine = Engine::open(config).await?;
    let socket = folder.join("socket");
    drop(std::fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket).context(|| format!("listen on {}", socket.display()))?;
    println!("DOCKER_HOST=unix://{}", socket.display());
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    let served = dhow_server::serve(Arc::clone(&engine), vec![Listener::Unix(listener)], interrupted).await;
    engine.close().await;
    served
}
