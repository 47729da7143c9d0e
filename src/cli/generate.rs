//! `dewar key`, `dewar completions`, `dewar man`: things that need no configuration.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use rand::TryRng;
use rand::rngs::SysRng;

use super::{Cli, Failure, terminal};

#[derive(Debug, clap::Args)]
pub struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArguments {
    /// Write a page for each command into this directory instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// 256 bits from the operating system as hexadecimal digits.
pub fn fresh_key() -> Result<String, Failure> {
    let mut random = [0; 32];
    SysRng.try_fill_bytes(&mut random).map_err(Failure::failed)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub fn key(json: bool) -> Result<(), Failure> {
    let key = fresh_key()?;
    match json {
        true => terminal::print_json(&serde_json::json!({ "SECRET_KEY": key })),
        false => terminal::print(&(key + "\n")),
    }
}

pub fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dewar", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))
}

pub fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let command = Cli::command();
    match &arguments.dir {
        Some(dir) => Ok(clap_mangen::generate_to(command, dir)?),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            terminal::print(&String::from_utf8_lossy(&page))
        }
    }
}
