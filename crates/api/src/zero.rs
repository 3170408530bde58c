//! Go's `omitempty`.

/// Whether a value is Go's zero value, which `omitempty` leaves out.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
