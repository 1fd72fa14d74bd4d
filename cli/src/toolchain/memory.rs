//! The initial memory of a core module.

use anyhow::{Context, Result, ensure};

const PAGE_BYTES: u32 = 64 * 1024;
const HEADER_BYTES: usize = 8;
const MEMORY_SECTION: u8 = 5;

/// Returns the module with an initial memory of at least `bytes`. A linker can only set an exact size, which is an error if
/// the data of the module is larger.
///
/// # Errors
/// Returns an error if the module is broken.
pub(super) fn with_initial_memory(module: &[u8], bytes: u32) -> Result<Vec<u8>> {
    let mut out = module.get(..HEADER_BYTES).context("the module has no header")?.to_vec();
    let mut rest = &module[HEADER_BYTES..];
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = number(after)?;
        let (section, next) = after.split_at_checked(size as usize).context("a section of the module is cut off")?;
        let raised = if id == MEMORY_SECTION { raised(section, bytes.div_ceil(PAGE_BYTES))? } else { section.to_vec() };
        out.push(id);
        push_number(&mut out, u32::try_from(raised.len())?);
        out.extend(raised);
        rest = next;
    }
    Ok(out)
}

/// Returns a memory section whose memory has at least this many pages at the start.
fn raised(section: &[u8], pages: u32) -> Result<Vec<u8>> {
    let (count, rest) = number(section)?;
    ensure!(count == 1, "the module has {count} memories; a plugin has one");
    let (&flags, rest) = rest.split_first().context("the memory of the module has no limits")?;
    let (initial, maximum) = number(rest)?;
    let mut out = vec![1, flags];
    push_number(&mut out, initial.max(pages));
    out.extend(maximum);
    Ok(out)
}

/// Reads an unsigned LEB128 number. Returns it and the bytes after it.
fn number(bytes: &[u8]) -> Result<(u32, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    anyhow::bail!("a number of the module is cut off")
}

fn push_number(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::with_initial_memory;

    #[test]
    fn a_small_memory_is_raised_and_a_large_one_stays() {
        for (pages, expected) in [("1", "8"), ("8", "8"), ("300", "300"), ("1 200", "8 200")] {
            let module = |pages| {
                wat::parse_str(format!(
                    r#"(module (memory (export "memory") {pages}) (global i32 (i32.const 7)) (data (i32.const 0) "data"))"#
                ))
                .unwrap()
            };
            assert_eq!(with_initial_memory(&module(pages), 512 * 1024).unwrap(), module(expected), "{pages}");
        }
        let none = wat::parse_str("(module)").unwrap();
        assert_eq!(with_initial_memory(&none, 1).unwrap(), none);
        assert!(with_initial_memory(b"\0asm\x01\0\0\0\x05\xff", 1).is_err());
    }
}
