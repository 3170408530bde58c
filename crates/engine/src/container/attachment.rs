//! A client's socket on its way to the shim.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use dhow_errdefs::Result;
use dhow_shim::protocol::{self, Answer, Op};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use tokio::sync::oneshot;

use super::Command;
use crate::core::Core;
use crate::link::Link;
use crate::{ClientStream, WaitCondition};

/// How long one waits for the news of the end after the streams have ended. A container may also close them and go on.
const GRACE: Duration = Duration::from_secs(1);

/// A client that wants to be connected to a container's streams.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub container: Arc<super::Container>,
    pub stream: ClientStream,
    pub wanted: protocol::Attach,
}

impl Attachment {
    /// Whether the client has gone and has sent nothing that the process could still want.
    pub(super) fn is_abandoned(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut ends = [PollFd::new(&self.stream.fd, PollFlags::empty())];
        let has_gone = poll(&mut ends, Some(&now)).is_ok() && ends[0].revents().contains(PollFlags::HUP);
        let is_input_left = || {
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            !self.stream.leftover.is_empty()
                || recv(&self.stream.fd, &mut [0u8; 1][..], flags).is_ok_and(|(n, _)| n > 0)
        };
        has_gone && !(self.wanted.stdin && is_input_left())
    }

    /// Hands the socket to the shim; returns when it is sent.
    ///
    /// Our own copy stays open until the shim says that the session is over, so that the client sees the end only when
    /// the engine knows how the container ended.
    pub(super) async fn begin(self, link: &Link, core: Arc<Core>) -> Result<()> {
        let Self { container, stream, mut wanted } = self;
        wanted.leftover = stream.leftover;
        let answer = link.begin(Op::Attach(wanted), &[stream.fd.as_fd()]).await?;
        let view = container.view();
        core.events.container("attach", (&container.id, &view.name), &view.spec, &[]);
        tokio::spawn(async move {
            match answer.wait().await {
                Ok(Answer::Detached { early: true }) => {
                    core.events.container("detach", (&container.id, &view.name), &view.spec, &[]);
                }
                _ => end_is_known(&container).await,
            }
            drop(stream.fd);
        });
        Ok(())
    }
}

/// Streams end when the program does, which is told a moment later.
async fn end_is_known(container: &super::Container) {
    let (waiter, ended) = oneshot::channel();
    let told = container.tell(Command::Wait(WaitCondition::NotRunning, waiter)).is_ok();
    if told && container.view().condition.state.is_alive() {
        // Whoever has no owner any more has ended, too.
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}
