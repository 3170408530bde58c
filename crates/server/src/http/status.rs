//! Class of failure → status. The only place that knows both.

use dhow_errdefs::Class;
use hyper::StatusCode;

/// The status dockerd answers for a failure of that class.
pub(crate) const fn of(class: Class) -> StatusCode {
    match class {
        Class::NotModified => StatusCode::NOT_MODIFIED,
        Class::InvalidArgument => StatusCode::BAD_REQUEST,
        Class::Unauthenticated => StatusCode::UNAUTHORIZED,
        Class::PermissionDenied => StatusCode::FORBIDDEN,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::Conflict | Class::AlreadyExists => StatusCode::CONFLICT,
        Class::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Class::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Class::ResourceExhausted => StatusCode::INSUFFICIENT_STORAGE,
        Class::Cancelled | Class::DataLoss | Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_status_that_says_no() {
        for class in Class::ALL {
            assert!(of(class).as_u16() >= 300, "{class:?}");
        }
        assert_eq!(of(Class::NotModified), 304);
        assert_eq!(of(Class::AlreadyExists), of(Class::Conflict));
    }
}
