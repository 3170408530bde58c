//! The driver `syslog` over TLS, against the server that `openssl` has.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use dhow_testkit::{Outcome, World};

use crate::busybox;
use crate::certificates::Certificates;

/// A server that prints what comes, and takes whoever has a certificate of our authority.
struct Server {
    program: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn start(certificates: &Certificates, port: u16) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-Verify", "1", "-verify_return_error"]);
        command.args(["-cert", "cert.pem", "-key", "key.pem", "-CAfile", "ca.pem"]);
        // With its input it would end.
        command.current_dir(certificates.path("engine")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.stderr(Stdio::null()).spawn().expect("openssl runs");
        let lines = BufReader::new(program.stdout.take().expect("piped")).lines();
        let mut server = Self { program, lines };
        server.until("ACCEPT");
        server
    }

    /// The next line that has that in it.
    fn until(&mut self, wanted: &str) -> String {
        let found = self.lines.by_ref().map(|line| line.expect("read")).find(|line| line.contains(wanted));
        found.unwrap_or_else(|| panic!("the server ended before it got {wanted:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Runs a container that says `one`, and `two` when it is told to.
fn run(world: &World, name: &str, options: &[String]) -> Outcome {
    let mut words = vec!["run", "-d", "--name", name, "--log-driver", "syslog"];
    words.extend(options.iter().flat_map(|option| ["--log-opt", option.as_str()]));
    words.extend(["busybox", "sh", "-c", "echo one; while [ ! -e /go ]; do sleep 0.1; done; echo two"]);
    world.dhow(&words)
}

#[test]
fn syslog_over_tls_is_counted_and_goes_on_with_the_next_server() {
    let (world, certificates, port) = (busybox(), Certificates::new(), free_port());
    let file =
        |option: &str, name: &str| format!("syslog-tls-{option}={}", certificates.path("client").join(name).display());
    let address = format!("syslog-address=tcp+tls://localhost:{port}");
    let authority = file("ca-cert", "ca.pem");
    let identity = [file("cert", "cert.pem"), file("key", "key.pem")];
    let all = [&[address, "syslog-format=rfc5424".to_owned(), authority][..], &identity].concat();
    let mut server = Server::start(&certificates, port);
    run(&world, "box", &all).exits(0);
    let message = server.until(" - one");
    // RFC 5425: the length comes first, and counts the end of the line.
    let (length, message) = message.split_once(' ').expect("a length");
    assert_eq!(length.parse(), Ok(message.len() + 1), "{message}");
    drop(server);
    let mut server = Server::start(&certificates, port);
    world.dhow(&["exec", "box", "touch", "/go"]).exits(0);
    server.until(" - two");
    world.dhow(&["wait", "box"]).exits(0);
    assert_eq!(world.dhow(&["logs", "box"]).exits(0).stdout(), "one\ntwo\n");
}

#[test]
fn a_syslog_server_that_nobody_vouches_for_is_refused_unless_asked_otherwise() {
    let (world, certificates, port) = (busybox(), Certificates::new(), free_port());
    let identity = ["cert", "key"]
        .map(|what| format!("syslog-tls-{what}={}", certificates.path("client").join(format!("{what}.pem")).display()));
    let address = format!("syslog-address=tcp+tls://127.0.0.1:{port}");
    let mut server = Server::start(&certificates, port);
    let strict = [std::slice::from_ref(&address), &identity].concat();
    run(&world, "strict", &strict).exits(125).says("failed to initialize logging driver: tls: ");
    let lenient = [&strict[..], &["syslog-tls-skip-verify=true".to_owned()]].concat();
    run(&world, "lenient", &lenient).exits(0);
    server.until(": one");
    run(&world, "half", &strict[..2]).exits(125).says("syslog-tls-cert and syslog-tls-key belong together");
}
