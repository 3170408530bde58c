//! The shim's end of its connections with engines.

use std::io::IoSlice;
use std::os::unix::net::{UnixListener, UnixStream};

use dhow_errdefs::Result;
use dhow_sys::descriptors;

use crate::frame::{self, Buffer};
use crate::poll::{Interest, Poll, Token};
use crate::protocol::{Event, Message};
use crate::queue::{Queue, send_now};

/// An engine that has not taken so many bytes is stuck, and cut off. It finds everything in the state when it comes back.
const LIMIT: usize = 1 << 20;

/// One connection.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) number: u32,
    socket: UnixStream,
    pub(crate) received: Buffer,
    queue: Queue,
    watching_write: bool,
    pub(crate) subscribed: bool,
    /// It is to be closed.
    pub(crate) broken: bool,
}

impl Control {
    /// Reads what is there; the end marks the connection broken.
    pub(crate) fn receive(&mut self) {
        // Each client is a descriptor. Not before an engine speaks: as long as it starts us it still sets our limit, which is
        // what our containers get (`spawn`). Without it fewer clients find room, and are told so.
        let _ = descriptors::raise_limit();
        match self.received.fill(&self.socket) {
            Ok(count) if count > 0 => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => self.broken = true,
        }
    }

    fn send(&mut self, message: &Message, poll: &Poll) {
        // What can be taken by now is; and before this one is added: however long a message is, alone it tells nothing about who
        // reads it.
        self.flush(poll);
        self.broken |= self.queue.len() > LIMIT;
        match frame::encode(message) {
            Ok(_) if self.broken => {}
            Ok(frame) => self.queue.push(&frame),
            Err(_) => self.broken = true,
        }
        self.flush(poll);
    }

    pub(crate) fn flush(&mut self, poll: &Poll) {
        let socket = &self.socket;
        self.broken |= self.queue.flush(|bytes| send_now(socket, &[IoSlice::new(bytes)])).is_err();
        let write = !self.queue.is_empty();
        if write != self.watching_write {
            self.watching_write = write;
            poll.change(&self.socket, Token::Control(self.number), Interest { read: true, write });
        }
    }
}

/// All connections, and the socket where new ones come in.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    list: Vec<Control>,
    next: u32,
    listener: Option<UnixListener>,
}

impl Controls {
    /// Takes over a connected socket.
    pub(crate) fn add(&mut self, socket: UnixStream, poll: &Poll) -> Result<()> {
        use dhow_errdefs::ResultExt;
        socket.set_nonblocking(true).context(|| "prepare a connection")?;
        let number = self.next;
        self.next += 1;
        poll.add(&socket, Token::Control(number), Interest::READ)?;
        self.list.push(Control {
            number,
            socket,
            received: Buffer::default(),
            queue: Queue::default(),
            watching_write: false,
            subscribed: false,
            broken: false,
        });
        Ok(())
    }

    /// Lets engines in here from now on.
    pub(crate) fn listen(&mut self, listener: UnixListener, poll: &Poll) -> Result<()> {
        use dhow_errdefs::ResultExt;
        listener.set_nonblocking(true).context(|| "prepare the shim's socket")?;
        poll.add(&listener, Token::Listener, Interest::READ)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Lets nobody in any more.
    pub(crate) fn stop_listening(&mut self, poll: &Poll) {
        if let Some(listener) = self.listener.take() {
            poll.remove(&listener);
        }
    }

    /// Lets in who waits.
    pub(crate) fn accept(&mut self, poll: &Poll) {
        while let Some(Ok((socket, _))) = self.listener.as_ref().map(UnixListener::accept) {
            // Who cannot be watched (no memory) is turned away by dropping the socket.
            let _ = self.add(socket, poll);
        }
    }

    pub(crate) fn get(&mut self, number: u32) -> Option<&mut Control> {
        self.list.iter_mut().find(|control| control.number == number)
    }

    /// Sends to one connection, if it is still there.
    pub(crate) fn send(&mut self, number: u32, message: &Message, poll: &Poll) {
        if let Some(control) = self.get(number) {
            control.send(message, poll);
        }
    }

    /// Sends an event to all who subscribed.
    pub(crate) fn tell(&mut self, event: Event, poll: &Poll) {
        let message = Message::Event(event);
        self.list.iter_mut().filter(|control| control.subscribed).for_each(|control| control.send(&message, poll));
    }

    /// Closes the connections that are of no use any more.
    pub(crate) fn sweep(&mut self, poll: &Poll) {
        self.list.retain(|control| {
            if control.broken {
                poll.remove(&control.socket);
            }
            !control.broken
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use dhow_errdefs::Error;

    use super::*;

    /// One connection, and the engine's end of it.
    fn connected() -> (Controls, Poll, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut controls, poll) = (Controls::default(), Poll::new().unwrap());
        controls.add(near, &poll).unwrap();
        (controls, poll, far)
    }

    /// An answer that is longer than what may wait, and than what a socket takes at once.
    fn long() -> Message {
        Message::Response { seq: 1, result: Err((&Error::invalid("x".repeat(2 * LIMIT))).into()) }
    }

    #[test]
    fn one_long_message_is_no_sign_of_a_stuck_engine() {
        let (mut controls, poll, mut engine) = connected();
        controls.send(0, &long(), &poll);
        controls.sweep(&poll);
        let length = frame::encode(&long()).unwrap().len();
        let reader = std::thread::spawn(move || engine.read_exact(&mut vec![0; length]).map(|()| engine));
        while let Some(control) = controls.get(0).filter(|control| !control.queue.is_empty()) {
            control.flush(&poll);
        }
        reader.join().unwrap().unwrap();
        assert!(!controls.is_empty());
    }

    #[test]
    fn an_engine_that_takes_nothing_is_cut_off() {
        let (mut controls, poll, _engine) = connected();
        controls.send(0, &long(), &poll);
        let waiting = controls.get(0).unwrap().queue.len();
        controls.send(0, &long(), &poll);
        assert_eq!(controls.get(0).unwrap().queue.len(), waiting, "nothing is added any more");
        controls.sweep(&poll);
        assert!(controls.is_empty());
    }
}
