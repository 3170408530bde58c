//! The flags of `dhow daemon`: dockerd's names, as far as dhow acts on them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::{File, Proxies};

/// What was typed, before defaults: a flag that is absent leaves the word to the configuration file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) settings: File,
    pub(crate) config_file: Option<PathBuf>,
    /// Say `ready` on standard output once the engine listens; for whoever starts it on demand.
    pub(crate) announce: bool,
    /// Say the version, and nothing else.
    pub(crate) version: bool,
    /// Say whether the configuration is good, and nothing else.
    pub(crate) validate: bool,
    /// Flags of dockerd that were given and mean nothing here.
    pub(crate) left_out: Vec<&'static str>,
}

/// Flags of dockerd that stand in its users' unit files and mean nothing here; whether they take a value.
pub(crate) const OF_DOCKERD: &[(&str, bool)] = &[
    ("api-cors-header", true),
    ("containerd", true),
    ("containerd-namespace", true),
    ("containerd-plugins-namespace", true),
    ("cpu-rt-period", true),
    ("cpu-rt-runtime", true),
    ("cri-containerd", false),
    ("exec-opt", true),
    ("experimental", false),
    ("init-path", true),
    ("log-format", true),
    ("max-concurrent-downloads", true),
    ("max-concurrent-uploads", true),
    ("max-download-attempts", true),
    ("metrics-addr", true),
    ("network-control-plane-mtu", true),
    ("node-generic-resource", true),
    ("oom-score-adjust", true),
    ("raw-logs", false),
    ("rootless", false),
    ("shutdown-timeout", true),
    ("storage-driver", true),
    ("storage-opt", true),
    ("swarm-default-advertise-addr", true),
    ("userland-proxy-path", true),
];

impl Flags {
    /// Parses the arguments behind `dhow`; an error has clap's text and exit code.
    pub(crate) fn parse(args: &[OsString]) -> Result<Self, clap::Error> {
        command().try_get_matches_from(args).map(|matches| Self::from_matches(&matches))
    }

    fn from_matches(matches: &ArgMatches) -> Self {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let many = |name: &str| matches.get_many::<String>(name).map(|values| values.cloned().collect::<Vec<_>>());
        let flag = |name: &str| matches.get_one::<bool>(name).copied();
        Self {
            settings: File {
                hosts: many("host"),
                data_root: path("data-root"),
                exec_root: path("exec-root"),
                pidfile: path("pidfile"),
                debug: flag("debug"),
                log_level: text("log-level"),
                group: text("group"),
                tls: flag("tls"),
                tlsverify: flag("tlsverify"),
                tlscacert: path("tlscacert"),
                tlscert: path("tlscert"),
                tlskey: path("tlskey"),
                insecure_tcp_on_loopback: flag("insecure-tcp-on-loopback"),
                firewall: text("firewall"),
                cgroup_parent: text("cgroup-parent"),
                default_runtime: text("default-runtime"),
                runtimes: many("add-runtime").map(|words| words.iter().filter_map(|word| runtime(word)).collect()),
                log_driver: text("log-driver"),
                log_opts: many("log-opt").map(|words| words.iter().map(|word| pair(word)).collect()),
                default_shm_size: text("default-shm-size"),
                default_cgroupns_mode: text("default-cgroupns-mode"),
                default_ulimits: None,
                ulimits: many("default-ulimit"),
                init: flag("init"),
                labels: many("label"),
                live_restore: flag("live-restore"),
                address_pools: many("default-address-pool"),
                default_address_pools: None,
                dns: many("dns"),
                dns_opts: many("dns-opt"),
                dns_search: many("dns-search"),
                default_ipc_mode: text("default-ipc-mode"),
                no_new_privileges: flag("no-new-privileges"),
                mtu: matches.get_one::<u32>("mtu").copied(),
                icc: flag("icc"),
                ip: text("ip"),
                ip_masq: flag("ip-masq"),
                bip: text("bip"),
                fixed_cidr: text("fixed-cidr"),
                fixed_cidr_v6: text("fixed-cidr-v6"),
                ipv6: flag("ipv6"),
                iptables: flag("iptables"),
                ip6tables: flag("ip6tables"),
                ip_forward: flag("ip-forward"),
                ip_forward_no_drop: flag("ip-forward-no-drop"),
                userland_proxy: flag("userland-proxy"),
                firewall_backend: text("firewall-backend"),
                host_gateway_ip: None,
                host_gateway_ips: many("host-gateway-ip"),
                default_network_opts: many("default-network-opt").map(|words| network_options(&words)),
                userns_remap: text("userns-remap"),
                seccomp_profile: text("seccomp-profile"),
                authorization_plugins: many("authorization-plugin"),
                selinux_enabled: flag("selinux-enabled"),
                bridge: text("bridge"),
                default_gateway: text("default-gateway"),
                default_gateway_v6: text("default-gateway-v6"),
                allow_direct_routing: flag("allow-direct-routing"),
                plugin_folders: many("plugin-folder").map(|paths| paths.into_iter().map(PathBuf::from).collect()),
                plugin_deadline: matches.get_one::<u64>("plugin-deadline").copied(),
                registry_mirrors: many("registry-mirror"),
                registry_config: path("registry-config"),
                insecure_registries: many("insecure-registry"),
                cdi_spec_dirs: many("cdi-spec-dir").map(|paths| paths.into_iter().map(PathBuf::from).collect()),
                features: many("feature").map(|words| words.iter().map(|word| feature(word)).collect()),
                proxies: proxies(text("http-proxy"), text("https-proxy"), text("no-proxy")),
            },
            config_file: path("config-file"),
            announce: matches.get_flag("announce"),
            version: matches.get_flag("version"),
            validate: matches.get_flag("validate"),
            left_out: OF_DOCKERD.iter().map(|(name, _)| *name).filter(|name| matches.contains_id(name)).collect(),
        }
    }
}

fn pair(word: &str) -> (String, String) {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    (key.to_owned(), value.to_owned())
}

/// `name` or `name=true`; what is neither is refused before.
fn feature(word: &str) -> (String, bool) {
    let (name, value) = word.split_once('=').unwrap_or((word, "true"));
    (name.to_owned(), value == "true")
}

fn proxies(http_proxy: Option<String>, https_proxy: Option<String>, no_proxy: Option<String>) -> Option<Proxies> {
    let proxies = Proxies { http_proxy, https_proxy, no_proxy };
    (proxies != Proxies::default()).then_some(proxies)
}

fn runtime(word: &str) -> Option<(String, super::file::Runtime)> {
    let (name, path) = word.split_once('=')?;
    Some((name.to_owned(), super::file::Runtime { path: path.into() }))
}

/// `driver=option=value`, each.
fn network_options(words: &[String]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut options = BTreeMap::<String, BTreeMap<String, String>>::new();
    for (driver, option) in words.iter().filter_map(|word| word.split_once('=')) {
        options.entry(driver.to_owned()).or_default().extend([pair(option)]);
    }
    options
}

fn command() -> Command {
    let value = |name: &'static str, metavar: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(metavar).help(help)
    };
    let path = |name, help| value(name, "path", help).value_parser(clap::value_parser!(PathBuf));
    let list = |name, metavar, help| value(name, metavar, help).action(ArgAction::Append);
    // `--tlsverify` and `--tlsverify=false`; absent leaves the word to the file.
    let flag = |name: &'static str, help: &'static str| {
        let given = Arg::new(name).long(name).help(help).num_args(0..=1).require_equals(true);
        given.default_missing_value("true").value_parser(clap::value_parser!(bool)).hide_possible_values(true)
    };
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    let of_dockerd = OF_DOCKERD.iter().map(|(name, valued)| {
        let given = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
        if *valued { given } else { given.num_args(0..=1).require_equals(true).default_missing_value("true") }
    });
    Command::new("dhow daemon")
        .args(of_dockerd.map(|arg| if arg.get_id() == "storage-driver" { arg.short('s') } else { arg }))
        .about("The engine: serves the Docker Engine API")
        .override_usage("dhow daemon [OPTIONS]")
        // As dockerd: of a flag that is given twice the last one counts.
        .args_override_self(true)
        .arg(
            list(
                "host",
                "address",
                "Where to listen: unix://path, tcp://address:port, fd:// (sockets that systemd opened)",
            )
            .short('H'),
        )
        .arg(path("data-root", "Root directory of persistent state"))
        .arg(path("exec-root", "Root directory for execution state files"))
        .arg(path("pidfile", "Path to use for daemon PID file").short('p'))
        .arg(path("config-file", "Daemon configuration file"))
        .arg(flag("debug", "Enable debug mode").short('D'))
        .arg(value("log-level", "level", "Set the logging level (debug, info, warn, error, fatal)").short('l'))
        .arg(value("group", "name", "Group for the unix socket (dhow or docker, if there is one)").short('G'))
        .arg(flag("tls", "Use TLS; implied by --tlsverify"))
        .arg(flag("tlsverify", "Use TLS and let only clients in that show a certificate of the authority"))
        .arg(path("tlscacert", "Trust only clients' certificates signed by this authority"))
        .arg(path("tlscert", "The engine's certificate"))
        .arg(path("tlskey", "The engine's key"))
        .arg(flag("insecure-tcp-on-loopback", "Allow tcp:// without TLS on loopback: every local user is root then"))
        .arg(value(
            "firewall",
            "policy",
            "Who decides about published ports: own (open), respect-host (the host's input policy), none (no rules)",
        ))
        .arg(value("cgroup-parent", "path", "Set parent cgroup for all containers"))
        .arg(value("default-runtime", "name", "Default OCI runtime for containers"))
        .arg(
            list("add-runtime", "name=path", "Register an additional OCI compatible runtime")
                .value_parser(|word: &str| runtime(word).map(|_| word.to_owned()).ok_or("it is NAME=PATH")),
        )
        .arg(value("log-driver", "name", "Default driver for container logs"))
        .arg(list("log-opt", "key=value", "Default log driver options for containers"))
        .arg(value(
            "default-cgroupns-mode",
            "mode",
            "Default mode for containers cgroup namespace (\"host\" | \"private\")",
        ))
        .arg(value("default-shm-size", "bytes", "Default shm size for containers"))
        .arg(list("default-ulimit", "ulimit", "Default ulimits for containers"))
        .arg(flag("init", "Run an init in the container to forward signals and reap processes"))
        .arg(list("label", "label", "Set key=value labels to the daemon"))
        .arg(list("plugin-folder", "path", "Folder with sockets and addresses of volume plugins"))
        .arg(
            value("plugin-deadline", "seconds", "How long a plugin may take to answer")
                .value_parser(clap::value_parser!(u64).range(1..)),
        )
        .arg(list("registry-mirror", "address", "Mirror of Docker Hub to pull from first"))
        .arg(list("insecure-registry", "host", "Registry, or network of registries, that may go without TLS"))
        .arg(path("registry-config", "Mirrors of registries, and which images may be used"))
        .arg(list("cdi-spec-dir", "path", "Folder with files that describe devices (Container Device Interface)"))
        .arg(list("feature", "name=bool", "Turn a feature on or off: cdi").value_parser(|word: &str| {
            match word.split_once('=') {
                None | Some((_, "true" | "false")) => Ok(word.to_owned()),
                Some(_) => Err("it is NAME=true or NAME=false"),
            }
        }))
        .arg(value("http-proxy", "address", "HTTP proxy for pulls and pushes"))
        .arg(value("https-proxy", "address", "HTTPS proxy for pulls and pushes"))
        .arg(value("no-proxy", "hosts", "Hosts to which no proxy leads, by comma"))
        .arg(list("dns", "address", "Name servers of containers"))
        .arg(list("dns-opt", "option", "Options of the containers' resolver"))
        .arg(list("dns-search", "domain", "Domains that containers search"))
        .arg(value("default-ipc-mode", "mode", "IPC mode of containers (private, shareable)"))
        .arg(flag("no-new-privileges", "Give programs in containers no more rights than they begin with"))
        .arg(list("default-address-pool", "base=CIDR,size=BITS", "Where blocks for networks come from"))
        .arg(value("mtu", "bytes", "MTU of the default network").value_parser(clap::value_parser!(u32)))
        .arg(flag("icc", "Let containers in the default network reach each other"))
        .arg(value("ip", "address", "Address of the host at which ports are published"))
        .arg(flag("ip-masq", "Let containers in the default network go out with the host's address"))
        .arg(
            value("bridge", "name", "Bridge of the host for the default network; none: there is no such network")
                .short('b'),
        )
        .arg(value("bip", "CIDR", "Address and block of the default network's bridge"))
        .arg(value("fixed-cidr", "CIDR", "Part of that block from which containers get addresses"))
        .arg(flag("ipv6", "Give the default network IPv6, too"))
        .arg(value("fixed-cidr-v6", "CIDR", "Block of IPv6 of the default network"))
        .arg(flag("iptables", "Make firewall rules; --iptables=false is --firewall none"))
        .arg(flag("ip6tables", "Make rules for IPv6; not to be turned off alone"))
        .arg(flag("ip-forward", "Let the host pass packets on between its networks"))
        .arg(list("host-gateway-ip", "address", "What host-gateway stands for in --add-host"))
        .arg(list("default-network-opt", "driver=option=value", "Options of new networks of a driver").value_parser(
            |word: &str| match word.split('=').count() {
                0..=2 => Err("it is DRIVER=OPTION=VALUE"),
                _ => Ok(word.to_owned()),
            },
        ))
        .arg(flag("userland-proxy", "Ports are passed on by a process where the kernel cannot").hide(true))
        .arg(flag("ip-forward-no-drop", "Nothing is dropped that is no container's").hide(true))
        .arg(value("firewall-backend", "name", "nftables").hide(true))
        .arg(value("default-gateway", "address", "Refused").hide(true))
        .arg(value("default-gateway-v6", "address", "Refused").hide(true))
        .arg(flag("allow-direct-routing", "Refused").hide(true))
        .arg(flag("live-restore", "Containers outlive their engine: always").hide(true))
        .arg(value("userns-remap", "user", "Refused").hide(true))
        .arg(value("seccomp-profile", "path", "Refused").hide(true))
        .arg(list("authorization-plugin", "name", "Refused").hide(true))
        .arg(flag("selinux-enabled", "Refused").hide(true))
        .arg(switch("validate", "Only say whether the configuration is good"))
        .arg(switch("version", "Print the version and leave").short('v'))
        .arg(switch("announce", "Say `ready` on standard output once the engine listens").hide(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Flags {
        let args: Vec<OsString> = ["daemon"].iter().chain(words).map(OsString::from).collect();
        Flags::parse(&args).expect("good flags")
    }

    #[test]
    fn dockerds_flags_are_understood() {
        let flags = parse(&["-H", "unix:///a", "--host=unix:///b", "-D", "-p", "/pid", "--add-runtime", "x=/bin/x"]);
        assert_eq!(flags.settings.hosts, Some(vec!["unix:///a".to_owned(), "unix:///b".to_owned()]));
        assert_eq!((flags.settings.debug, flags.settings.pidfile), (Some(true), Some("/pid".into())));
        assert_eq!(flags.settings.runtimes.expect("one")["x"].path, PathBuf::from("/bin/x"));
    }

    #[test]
    fn the_last_of_two_counts() {
        let flags = parse(&["--cgroup-parent", "/a", "--cgroup-parent=/b", "-D", "-D"]);
        assert_eq!((flags.settings.cgroup_parent.as_deref(), flags.settings.debug), (Some("/b"), Some(true)));
    }

    #[test]
    fn what_was_not_typed_is_left_open() {
        assert_eq!(parse(&[]), Flags::default());
    }

    #[test]
    fn dockerds_unit_files_are_understood() {
        let flags = parse(&[
            "--containerd=/run/c.sock",
            "--exec-opt",
            "native.cgroupdriver=systemd",
            "--iptables=false",
            "-s",
            "overlay2",
        ]);
        assert_eq!(flags.left_out, ["containerd", "exec-opt", "storage-driver"]);
        assert_eq!(flags.settings.iptables, Some(false));
        let options = parse(&["--default-network-opt", "bridge=a=b=c", "--default-network-opt=bridge=d=e"]).settings;
        let options = &options.default_network_opts.expect("some")["bridge"];
        assert_eq!((options["a"].as_str(), options["d"].as_str()), ("b=c", "e"));
        let flags =
            parse(&["--bip", "172.26.0.1/16", "--icc=false", "--dns", "1.1.1.1", "--userns-remap=default"]).settings;
        assert_eq!(
            (flags.bip.as_deref(), flags.icc, flags.userns_remap.as_deref()),
            (Some("172.26.0.1/16"), Some(false), Some("default"))
        );
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(Flags::parse(&["daemon".into(), "--nonsense".into()]).is_err());
    }
}
