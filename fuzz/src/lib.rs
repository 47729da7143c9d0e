//! What the targets share.

/// What `work` gives, which reads so many bytes and may hold memory in proportion to them alone.
/// tests/allocation.rs tells where the multiple comes from.
pub fn frugally<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let taken = allocation_counter::measure(|| result = Some(work())).bytes_max;
    assert!(taken <= 4096 + 128 * bytes as u64, "{taken} bytes of memory for {bytes}");
    result.expect("it ran")
}
