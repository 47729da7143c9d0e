//! What the password hash costs alone, with the parameters of `dewar`.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// Prints the CPU time of one check in microseconds.
pub fn run(count: u32) -> Result<(), Box<dyn std::error::Error>> {
    let argon2 = Argon2::default();
    let stored: PasswordHash =
        argon2.hash_password(b"correct horse battery staple").map_err(|error| error.to_string())?;
    let check = || {
        argon2
            .verify_password(b"correct horse battery staple", &stored)
            .map_err(|error| error.to_string())
    };
    check()?;
    let before = cpu_time()?;
    for _ in 0..count {
        check()?;
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
