//! A look at the shape of a plugin file before it is compiled, because the compiler's need of memory and time grows much
//! faster than the file does.

use anyhow::{Result, ensure};
use wasmparser::{Parser, Payload};

/// The nesting of components and modules. Build tools nest three levels.
const DEPTH_MAX: usize = 16;
/// The functions of all modules. The bundled plugin in Python has 14,000.
const FUNCTIONS_MAX: u64 = 200_000;
/// The size of one function. The interpreter loop of Python has 100 KiB.
const FUNCTION_BYTES_MAX: usize = 1024 * 1024;
/// The local variables of one function. The interpreter loop of Python has a thousand.
const LOCALS_MAX: u64 = 10_000;

/// Checks the nesting, and the number and the sizes of functions. A file that cannot be parsed passes: the compiler
/// reports its error.
///
/// # Errors
/// Returns an error if one of these is above its limit.
pub(crate) fn check_shape(bytes: &[u8]) -> Result<()> {
    let (mut depth, mut functions) = (0, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::Version { .. }) => {
                depth += 1;
                ensure!(depth <= DEPTH_MAX, "the file nests components more than {DEPTH_MAX} deep");
            }
            Ok(Payload::End(_)) => depth -= 1,
            Ok(Payload::FunctionSection(section)) => {
                functions += u64::from(section.count());
                ensure!(functions <= FUNCTIONS_MAX, "the file has more than {FUNCTIONS_MAX} functions");
            }
            Ok(Payload::CodeSectionEntry(body)) => {
                let size = body.range().len();
                ensure!(
                    size <= FUNCTION_BYTES_MAX,
                    "a function has {size} bytes; at most {FUNCTION_BYTES_MAX} are allowed"
                );
                let locals = body.get_locals_reader().into_iter().flatten().flatten();
                let locals: u64 = locals.map(|(count, _)| u64::from(count)).sum();
                ensure!(
                    locals <= LOCALS_MAX,
                    "a function has {locals} local variables; at most {LOCALS_MAX} are allowed"
                );
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(())
}

/// Returns whether a file ends before its last section does, as that of an unfinished copy.
pub fn is_cut_off(bytes: &[u8]) -> bool {
    const HEADER_BYTES: usize = 8;
    let magic = b"\0asm";
    if bytes.len() < HEADER_BYTES {
        return magic.starts_with(&bytes[..bytes.len().min(magic.len())]);
    }
    if !bytes.starts_with(magic) {
        return false;
    }
    let mut rest = &bytes[HEADER_BYTES..];
    while let Some((_id, after)) = rest.split_first() {
        let Some((size, after)) = leb128(after) else { return true };
        let Some(next) = after.get(size..) else { return true };
        rest = next;
    }
    false
}

/// Reads an unsigned number of up to 32 bits. Returns it with the bytes that follow.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, LOCALS_MAX, check_shape, is_cut_off};

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let size = content.len();
        [&[id, (size & 0x7f | 0x80) as u8, (size >> 7) as u8][..], content].concat()
    }

    #[test]
    fn only_the_beginning_of_a_file_is_cut_off() {
        let file = [MODULE, &section(0, &[1, b'a', 1, 2, 3]), &section(0, &[1, b'b', 1])].concat();
        let whole = [MODULE.len(), file.len() - 6, file.len()];
        for length in 0..=file.len() {
            assert_eq!(is_cut_off(&file[..length]), !whole.contains(&length), "{length} bytes");
        }
        assert!(!is_cut_off(b"no plugin at all") && !is_cut_off(b"text"));
    }

    #[test]
    fn nesting_and_local_variables_are_limited() {
        let nested =
            |levels: usize| (1..levels).fold(COMPONENT.to_vec(), |inner, _| [COMPONENT, &section(4, &inner)].concat());
        assert!(check_shape(&nested(DEPTH_MAX)).is_ok());
        let error = check_shape(&nested(DEPTH_MAX + 1)).unwrap_err().to_string();
        assert!(error.contains("nests components"), "{error}");
        // One function with this many local variables of type i32
        let locals = |count: u64| {
            let count = [(count & 0x7f | 0x80) as u8, (count >> 7) as u8];
            let body = [&[1][..], &count, &[0x7f, 0x0b]].concat();
            let code = section(10, &[&[1, body.len() as u8][..], &body].concat());
            [MODULE, &section(1, &[1, 0x60, 0, 0]), &section(3, &[1, 0]), &code].concat()
        };
        assert!(check_shape(&locals(LOCALS_MAX)).is_ok());
        let error = check_shape(&locals(LOCALS_MAX + 1)).unwrap_err().to_string();
        assert!(error.contains("10001 local variables"), "{error}");
        assert!(check_shape(b"no plugin").is_ok());
    }
}
