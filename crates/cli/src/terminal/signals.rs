//! Passing signals on to the container.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};

use dhow_client::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that are passed on: all but those that cannot be caught, that report our own faults, or that are about our own
/// children and pipes.
const FORWARDED: [(i32, &str); 20] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (5, "TRAP"),
    (6, "ABRT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (18, "CONT"),
    (20, "TSTP"),
    (21, "TTIN"),
    (22, "TTOU"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (30, "PWR"),
];
/// So many requests to end it, and we go without the container's consent.
const PATIENCE: u32 = 3;

/// Signals that were caught, from now on.
pub(crate) struct Forward {
    caught: mpsc::UnboundedReceiver<(i32, &'static str)>,
    pass: bool,
}

/// Catches signals to pass them on; or else those alone that ask us to end, to wait for the container all the same.
pub(crate) fn proxy(pass: bool) -> Forward {
    let (sender, caught) = mpsc::unbounded_channel();
    for (number, name) in FORWARDED.into_iter().filter(|(number, _)| pass || ends(*number)) {
        let Ok(mut caught) = signal(SignalKind::from_raw(number)) else { continue };
        let sender = sender.clone();
        tokio::spawn(async move { while caught.recv().await.is_some() && sender.send((number, name)).is_ok() {} });
    }
    Forward { caught, pass }
}

/// Whether a signal asks a process to end.
fn ends(number: i32) -> bool {
    matches!(number, 2 | 15)
}

/// Waits until somebody asks us to end. Docker's client leaves `exec` and `start` then, with 0.
pub(crate) async fn asked_to_end() {
    first_of([SignalKind::interrupt(), SignalKind::terminate()]).await;
}

/// Waits for one of two signals, which is kept from ending us from now on.
pub(crate) async fn first_of(kinds: [SignalKind; 2]) -> SignalKind {
    let [Ok(mut one), Ok(mut other)] = kinds.map(signal) else { return pending().await };
    tokio::select! {
        _ = one.recv() => kinds[0],
        _ = other.recv() => kinds[1],
    }
}

impl Forward {
    /// Passes the signals on to a container until one has asked us to end, that one included. `asked` is set before: the
    /// container may end before it is told that it has got the signal.
    pub(crate) async fn until_asked_to_end(mut self, client: &Client, container: &str, asked: &AtomicBool) {
        while let Some((number, name)) = self.caught.recv().await {
            asked.fetch_or(ends(number), Ordering::Relaxed);
            let _ = client.container_kill(container, name).await;
            if ends(number) {
                return;
            }
        }
    }

    /// Passes the signals on to a container. Ends only when a person insists: the third request to stop ends us.
    pub(crate) async fn to(mut self, client: &Client, container: &str) {
        let mut asked = 0;
        while let Some((number, name)) = self.caught.recv().await {
            if ends(number) {
                asked += 1;
                if asked >= PATIENCE {
                    crate::output::note("\ngot 3 SIGTERM/SIGINTs, forcefully exiting");
                    return;
                }
            }
            if self.pass {
                // A container that has not started, or has ended, takes no signals: no fault of the person's.
                let _ = client.container_kill(container, name).await;
            }
        }
    }
}
