//! JSON as text, which tagged JSON and plain records share.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::{Style, write_list, write_plain, write_string};
