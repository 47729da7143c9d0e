//! The `dewar` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    dewar::cli::run()
}
