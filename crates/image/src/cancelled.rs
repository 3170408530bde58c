//! Giving up what nobody waits for any more.

use std::time::Duration;

use dhow_errdefs::{Error, Result};

/// How often one who waits looks whether he is still wanted.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// Whether nobody wants something any more; asked now and then while it is done.
#[derive(Clone, Copy)]
pub struct Cancelled<'a>(&'a (dyn Fn() -> bool + Sync));

impl<'a> Cancelled<'a> {
    /// It is wanted to its end.
    pub const NEVER: Cancelled<'static> = Cancelled(&|| false);

    /// Once that is so.
    #[must_use]
    pub fn when(it_is_so: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(it_is_so)
    }

    pub(crate) fn is_so(self) -> bool {
        (self.0)()
    }

    /// # Errors
    /// `Cancelled` when nobody wants it any more.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_so() { Err(Error::cancelled("nobody waits for it any more")) } else { Ok(()) }
    }

    /// Waits until nobody wants it any more.
    pub(crate) async fn comes(self) {
        while !self.is_so() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
