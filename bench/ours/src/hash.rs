//! What the password hash costs alone, with the parameters of `dewar` and, as there, in memory that is
//! kept from one password to the next.

use std::time::Duration;

use argon2::{Argon2, Block, Params};

const PASSWORD: &[u8] = b"correct horse battery staple";

/// Prints the CPU time of one hash in microseconds.
pub fn run(count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let (argon2, mut out) = (Argon2::default(), [0; Params::DEFAULT_OUTPUT_LEN]);
    let mut memory = vec![Block::default(); argon2.params().block_count()];
    let mut hash = || {
        argon2
            .hash_password_into_with_memory(PASSWORD, b"sixteen bytes of", &mut out, &mut memory)
            .map_err(|error| error.to_string())
    };
    hash()?;
    let before = cpu_time()?;
    for _ in 0..count {
        hash()?;
    }
    println!("{}", (cpu_time()? - before).as_micros() as f64 / f64::from(count));
    Ok(())
}

/// What this process has run so far.
fn cpu_time() -> std::io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.unwrap_or(0)))
}
