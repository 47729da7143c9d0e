//! What people do about their own account: see and end sessions, set a new password.

pub mod password;
pub mod sessions;
