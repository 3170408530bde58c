//! Answering questions for names, with one processor for the engine.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use dhow_testkit::{StockEngine, World, in_network_of};

use super::report::Report;
use crate::shell::{self, Result};

/// Questions, and how many are under way at the same time.
const QUESTIONS: usize = 200_000;
const WINDOW: usize = 16;

/// A question for the address of `web`; its first two bytes are its number.
const QUESTION: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";

/// Asks for a container's name, out of another one.
pub(crate) fn answers(world: &World, _: Option<&StockEngine>, report: &mut Report) -> Result {
    world.dhow(&["network", "create", "names"]).exits(0);
    for name in ["web", "asks"] {
        world.dhow(&["run", "-d", "--name", name, "--network", "names", "busybox", "sleep", "1000"]).exits(0);
    }
    let engine = world.engine_pid().ok_or("there is no engine")?.to_string();
    shell::output(Command::new("taskset").args(["-a", "-p", "-c", "0", &engine]))?;
    let pid = world.inspect("asks", "{{.State.Pid}}");
    let (taken, mut waits) = in_network_of(pid, ask_all)?;
    waits.sort_unstable();
    let p99 = waits[waits.len() / 100 * 99];
    report.rate(
        "questions for names, answered by one processor",
        "20,000 a second, p99 under 2 ms",
        (QUESTIONS, taken),
        p99,
    );
    world.dhow(&["rm", "-f", "web", "asks"]).exits(0);
    world.dhow(&["network", "rm", "names"]).exits(0);
    Ok(())
}

/// How long all took, and how long each waited.
fn ask_all() -> Result<(Duration, Vec<Duration>)> {
    let failed = |error: std::io::Error| format!("ask for a name: {error}");
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
    let begin = Instant::now();
    let mut sent = vec![begin; 1 << 16];
    let mut waits = Vec::with_capacity(QUESTIONS);
    let mut question = QUESTION.to_vec();
    let mut ask = |number: usize, sent: &mut [Instant]| {
        let number = number % sent.len();
        question[..2].copy_from_slice(&(number as u16).to_be_bytes());
        sent[number] = Instant::now();
        socket.send_to(&question, "127.0.0.11:53").map(drop).map_err(failed)
    };
    (0..WINDOW).try_for_each(|number| ask(number, &mut sent))?;
    let mut answer = [0; 512];
    for next in WINDOW..QUESTIONS + WINDOW {
        let length = socket.recv(&mut answer).map_err(failed)?;
        if length <= QUESTION.len() || answer[7] != 1 {
            return Err("an answer without an address".to_owned());
        }
        waits.push(sent[usize::from(u16::from_be_bytes([answer[0], answer[1]]))].elapsed());
        if next < QUESTIONS {
            ask(next, &mut sent)?;
        }
    }
    Ok((begin.elapsed(), waits))
}
