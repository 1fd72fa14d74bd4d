//! The memory of a Python interpreter after its start, which a component contains.
//!
//! Python counts the references to every object in the object itself, so that an event that only reads would change, and the
//! engine copy, hundreds of pages. An object whose count is very large is immortal: Python neither changes its count nor
//! frees it. The SDK names the objects that live as long as the instance.

use anyhow::{Context, Result, bail};
use wasm_encoder::{ConstExpr, DataSection};
use wasmparser::{Data, DataKind, Operator};

const PAGE_BYTES: usize = 4096;
/// Begins the list that `warm_up.py` of the SDK leaves in memory: the number of objects, and for each its address and that of
/// its type, all as words.
const MARKER: [u8; 16] = *b"\x9f\x3a\xc1\xd2\x77\xe8\x4b\x0f\xa1\xc6\x5d\x0e\x42\xb9\x87\x13";
const WORD: usize = 4;
/// CPython's number of references to immortal objects, where a word has 32 bits.
const IMMORTAL: u32 = 5 << 28;
const IMMORTAL_MIN: u32 = 1 << 30;

/// The initial content of a memory.
pub(super) struct Snapshot(Vec<u8>);

impl Snapshot {
    /// Reads the content from the data of a module.
    ///
    /// # Errors
    /// Returns an error if the place of the data is not known before the module starts.
    pub fn read(data: &[Data]) -> Result<Self> {
        let mut memory = Vec::new();
        for Data { kind, data, .. } in data {
            let DataKind::Active { memory_index: 0, offset_expr } = kind else {
                bail!("data has no place in the memory")
            };
            let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                bail!("data has no constant place")
            };
            let start = value.cast_unsigned() as usize;
            let end = start + data.len();
            if memory.len() < end {
                memory.resize(end.next_multiple_of(PAGE_BYTES), 0);
            }
            memory[start..end].copy_from_slice(data);
        }
        Ok(Self(memory))
    }

    /// Makes the objects immortal that the SDK names, if it names any.
    ///
    /// # Errors
    /// Returns an error if the objects are not built as expected.
    pub fn make_objects_immortal(&mut self) -> Result<()> {
        let Some(list) = self.0.windows(MARKER.len()).rposition(|bytes| bytes == MARKER) else { return Ok(()) };
        let list = list + MARKER.len();
        let count = self.word(list)? as usize;
        for index in 0..count {
            let entry = list + WORD + index * 2 * WORD;
            let (object, type_address) = (self.word(entry)? as usize, self.word(entry + WORD)?);
            if self.word(object + WORD)? != type_address {
                bail!("an object of Python does not begin with its count and its type");
            }
            if self.word(object)? < IMMORTAL_MIN {
                self.0[object..object + WORD].copy_from_slice(&IMMORTAL.to_le_bytes());
            }
        }
        Ok(())
    }

    fn word(&self, at: usize) -> Result<u32> {
        let bytes = self.0.get(at..at + WORD).context("an address is outside of the memory")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    }

    /// Returns the content as data of a module, without the pages that are empty.
    pub fn data(&self) -> DataSection {
        let mut section = DataSection::new();
        let pages = self.0.chunks(PAGE_BYTES).collect::<Vec<_>>();
        let is_empty = |page: &&[u8]| page.iter().all(|byte| *byte == 0);
        let mut place = 0;
        for run in pages.chunk_by(|page, next| is_empty(page) == is_empty(next)) {
            let bytes = run.len() * PAGE_BYTES;
            if !is_empty(&run[0]) {
                section.active(0, &ConstExpr::i32_const(place as i32), run.concat());
            }
            place += bytes;
        }
        section
    }
}

#[cfg(test)]
mod tests {
    use super::{IMMORTAL, MARKER, PAGE_BYTES, Snapshot, WORD};

    const OBJECT: usize = 3 * PAGE_BYTES;
    const TYPE: u32 = 77;

    /// Returns a memory with an object of this type, and a list that names the object.
    fn memory(object_type: u32) -> Snapshot {
        let words = [1, u32::try_from(OBJECT).unwrap(), TYPE].map(u32::to_le_bytes).concat();
        let object = [2, object_type].map(u32::to_le_bytes).concat();
        let mut memory = vec![0; 4 * PAGE_BYTES];
        memory[WORD..WORD + MARKER.len()].copy_from_slice(&MARKER);
        memory[WORD + MARKER.len()..][..words.len()].copy_from_slice(&words);
        memory[OBJECT..][..object.len()].copy_from_slice(&object);
        Snapshot(memory)
    }

    #[test]
    fn the_objects_of_the_list_become_immortal() {
        let mut snapshot = memory(TYPE);
        snapshot.make_objects_immortal().unwrap();
        assert_eq!(snapshot.word(OBJECT).unwrap(), IMMORTAL);
        assert_eq!(snapshot.data().len(), 2, "empty pages are left out");
    }

    #[test]
    fn a_list_that_does_not_fit_the_memory_is_refused() {
        let error = memory(TYPE + 1).make_objects_immortal().unwrap_err();
        assert!(error.to_string().contains("its type"), "{error}");
    }
}
