//! Argon2 in memory that each thread keeps: freed and asked for again, it would come back in pieces,
//! and the process would grow with every password.

use std::cell::RefCell;

use argon2::{Algorithm, Argon2, Block, Error, Params, Version};

/// In KiB: RFC 9106's most, and more than this program ever asks for.
const MOST_MEMORY: usize = 2 * 1024 * 1024;

thread_local! {
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Fills `out` with the hash of a password.
///
/// # Errors
/// When a parameter is out of its range, or there is no memory for it.
pub fn compute(
    (algorithm, version, params): (Algorithm, Version, Params),
    password: &[u8],
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), Error> {
    let blocks = params.block_count();
    let argon2 = Argon2::new(algorithm, version, params);
    MEMORY.with_borrow_mut(|memory| {
        let more = blocks.saturating_sub(memory.len());
        if blocks > MOST_MEMORY || memory.try_reserve_exact(more).is_err() {
            return Err(Error::OutOfMemory);
        }
        memory.resize(blocks.max(memory.len()), Block::default());
        let computed = argon2.hash_password_into_with_memory(password, salt, out, &mut *memory);
        // What is large goes back to the system as it is, and today's is enough to keep.
        if memory.len() > 2 * Params::DEFAULT_M_COST as usize {
            *memory = Vec::new();
        }
        computed
    })
}
