//! The terminal's size and its changes.

use std::io::stdout;

use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};

/// Rows and columns of the terminal behind standard output; zeros if there is none.
pub(crate) fn size() -> (u16, u16) {
    tcgetwinsize(stdout()).map_or((0, 0), |size| (size.ws_row, size.ws_col))
}

/// Tells `resize` the size at once and then each time it changes. Never returns; a failed call is the next one's problem,
/// because the container may just have ended.
pub(crate) async fn follow_size<F: Future>(resize: impl Fn(u16, u16) -> F) {
    let changes = signal(SignalKind::window_change());
    let tell = async || {
        let (rows, columns) = size();
        if (rows, columns) != (0, 0) {
            resize(rows, columns).await;
        }
    };
    tell().await;
    if let Ok(mut changes) = changes {
        while changes.recv().await.is_some() {
            tell().await;
        }
    }
    std::future::pending::<()>().await;
}
