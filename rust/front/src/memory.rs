//! The memory that a function may have.

/// 16 TiB in MB: past any machine.
const MAX_MB: u32 = 16 * 1024 * 1024;

/// Checks a function's memory in MB; the error completes a sentence that begins with the field's name.
///
/// # Errors
///
/// None, or more than any machine has.
pub fn memory_mb_from(memory_mb: u64) -> Result<u32, String> {
    let known = u32::try_from(memory_mb).ok().filter(|memory_mb| (1..=MAX_MB).contains(memory_mb));
    known.ok_or_else(|| format!("is {memory_mb}: allowed are 1 to {MAX_MB} MB"))
}
