//! Links the libraries of a Python component to one module.
//!
//! componentize-py makes a component of about ten modules, Python's shared libraries, which have a memory and a table in
//! common. An instance of such a component fills the table entry by entry, which takes half a millisecond. The engine prepares
//! the table while it compiles if one module has the table and all its entries; calls between the libraries become direct too.

use super::parts::{CoreModule, Kind, Parts, is_of_host};
use super::snapshot::Snapshot;
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    CodeSection, ElementSection, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, ImportSection,
    Instruction, MemorySection, Module, TableSection, TypeSection,
};
use wasmparser::{FuncType, Operator, TypeRef};
use wit_component::{DecodedWasm, StringEncoding};

/// Returns a module that does what the component does and carries its interface.
///
/// # Errors
/// Returns an error if the component is not built as componentize-py builds it.
pub(super) fn linked(component: &[u8]) -> Result<Vec<u8>> {
    let parts = Parts::read(component)?;
    let mut module = Linker::new(&parts)?.link()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("the file is not a component")
    };
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

struct Linker<'a> {
    parts: &'a Parts<'a>,
    libraries: Vec<usize>,
    types: Vec<FuncType>,
    type_indices: HashMap<FuncType, u32>,
    /// The functions of the host: module, name and type.
    imports: Vec<(&'a str, &'a str, u32)>,
    import_indices: HashMap<(&'a str, &'a str), u32>,
    /// The index in the linked module of the first item that a library defines.
    first_indices: HashMap<(usize, Kind), u32>,
    /// The linked globals that nothing changes, with their values: the addresses of the libraries and of what they share.
    constants: HashMap<u32, i32>,
}

impl<'a> Linker<'a> {
    fn new(parts: &'a Parts<'a>) -> Result<Self> {
        let mut linker = Self {
            parts,
            libraries: parts.libraries()?,
            types: Vec::new(),
            type_indices: HashMap::new(),
            imports: Vec::new(),
            import_indices: HashMap::new(),
            first_indices: HashMap::new(),
            constants: HashMap::new(),
        };
        for library in linker.libraries.clone() {
            linker.add_types_and_imports(parts.module(library)?)?;
        }
        let mut next = HashMap::from([(Kind::Function, linker.imports.len())]);
        for library in linker.libraries.clone() {
            let module = parts.module(library)?;
            for (kind, count) in [
                (Kind::Function, module.functions.len()),
                (Kind::Table, module.tables.len()),
                (Kind::Memory, module.memories.len()),
                (Kind::Global, module.globals.len()),
            ] {
                let first = next.entry(kind).or_default();
                linker.first_indices.insert((library, kind), u32::try_from(*first)?);
                *first += count;
            }
        }
        linker.find_constants()?;
        Ok(linker)
    }

    fn add_types_and_imports(&mut self, module: &CoreModule<'a>) -> Result<()> {
        for function_type in &module.types {
            let index = u32::try_from(self.types.len())?;
            if !self.type_indices.contains_key(function_type) {
                self.type_indices.insert(function_type.clone(), index);
                self.types.push(function_type.clone());
            }
        }
        for import in module.imports.iter().filter(|import| is_of_host(import)) {
            let TypeRef::Func(function_type) = import.ty else { bail!("an import of the host is not a function") };
            let function_type = self.type_indices[&module.types[function_type as usize]];
            let index = u32::try_from(self.imports.len())?;
            if let Entry::Vacant(entry) = self.import_indices.entry((import.module, import.name)) {
                entry.insert(index);
                self.imports.push((import.module, import.name, function_type));
            }
        }
        Ok(())
    }

    fn find_constants(&mut self) -> Result<()> {
        let mut changed = HashSet::new();
        for &library in &self.libraries {
            for body in &self.parts.module(library)?.code {
                for operator in body.get_operators_reader()? {
                    if let Operator::GlobalSet { global_index } = operator? {
                        changed.insert((library, global_index));
                    }
                }
            }
        }
        let changed = changed.into_iter().map(|(library, global)| self.index(library, Kind::Global, global));
        let changed: HashSet<u32> = changed.collect::<Result<_>>()?;
        for &library in &self.libraries {
            let first = self.first_indices[&(library, Kind::Global)];
            for (global, index) in self.parts.module(library)?.globals.iter().zip(first..) {
                let mut operators = global.init_expr.get_operators_reader();
                if let (Operator::I32Const { value }, Operator::End) = (operators.read()?, operators.read()?)
                    && !changed.contains(&index)
                {
                    self.constants.insert(index, value);
                }
            }
        }
        Ok(())
    }

    /// Returns the index in the linked module of what a library has at an index.
    fn index(&self, library: usize, kind: Kind, index: u32) -> Result<u32> {
        let module = self.parts.module(library)?;
        let Some(import) = module.imports_of(kind).nth(index as usize) else {
            let imports = u32::try_from(module.imports_of(kind).count())?;
            return Ok(self.first_indices[&(library, kind)] + index - imports);
        };
        if is_of_host(import) {
            return Ok(self.import_indices[&(import.module, import.name)]);
        }
        let (source, name) = self.parts.source(library, import).context("an import has no source")?;
        let (kind, index) = self.parts.module(source)?.export(name)?;
        self.index(source, kind, index)
    }

    /// Returns the indices in the linked module of all that a library has of a kind.
    fn indices(&self, library: usize, kind: Kind, defined: usize) -> Result<Vec<u32>> {
        let count = self.parts.module(library)?.imports_of(kind).count() + defined;
        (0..u32::try_from(count)?).map(|index| self.index(library, kind, index)).collect()
    }

    fn link(&self) -> Result<Vec<u8>> {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        let (mut tables, mut memories, mut globals) = (TableSection::new(), MemorySection::new(), GlobalSection::new());
        let (mut exports, mut elements, mut code) = (ExportSection::new(), ElementSection::new(), CodeSection::new());
        let mut data = Vec::new();
        for function_type in &self.types {
            types.ty().func_type(&RoundtripReencoder.func_type(function_type.clone())?);
        }
        for (module, name, function_type) in &self.imports {
            imports.import(module, name, EntityType::Function(*function_type));
        }
        for &library in &self.libraries {
            let module = self.parts.module(library)?;
            let mut moved = Moved::new(self, library)?;
            for function_type in &module.functions {
                functions.function(moved.type_index(*function_type)?);
            }
            for table in &module.tables {
                moved.parse_table(&mut tables, table.clone())?;
            }
            for memory in &module.memories {
                memories.memory(moved.memory_type(*memory)?);
            }
            for global in &module.globals {
                moved.parse_global(&mut globals, global.clone())?;
            }
            for element in &module.elements {
                moved.parse_element(&mut elements, element.clone())?;
            }
            for body in &module.code {
                moved.parse_function_body(&mut code, body.clone())?;
            }
            data.extend_from_slice(&module.data);
        }
        if memories.len() != 1 {
            bail!("the libraries have {} memories", memories.len());
        }
        exports.export("memory", ExportKind::Memory, 0);
        for (name, library) in &self.parts.lifted {
            let (kind, index) = self.parts.module(*library)?.export(name)?;
            exports.export(name, ExportKind::Func, self.index(*library, kind, index)?);
        }
        let mut snapshot = Snapshot::read(&data)?;
        snapshot.make_objects_immortal()?;
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
        module.section(&globals).section(&exports).section(&elements).section(&code).section(&snapshot.data());
        Ok(module.finish())
    }
}

/// Copies what a library has, with the indices of the linked module.
struct Moved<'a> {
    types: Vec<u32>,
    functions: Vec<u32>,
    tables: Vec<u32>,
    globals: Vec<u32>,
    constants: &'a HashMap<u32, i32>,
}

impl<'a> Moved<'a> {
    fn new(linker: &'a Linker, library: usize) -> Result<Self> {
        let module = linker.parts.module(library)?;
        Ok(Self {
            types: module.types.iter().map(|function_type| linker.type_indices[function_type]).collect(),
            functions: linker.indices(library, Kind::Function, module.functions.len())?,
            tables: linker.indices(library, Kind::Table, module.tables.len())?,
            globals: linker.indices(library, Kind::Global, module.globals.len())?,
            constants: &linker.constants,
        })
    }
}

impl Reencode for Moved<'_> {
    type Error = Infallible;

    fn type_index(&mut self, index: u32) -> Result<u32, ReencodeError> {
        Ok(self.types[index as usize])
    }

    fn function_index(&mut self, index: u32) -> Result<u32, ReencodeError> {
        Ok(self.functions[index as usize])
    }

    fn table_index(&mut self, index: u32) -> Result<u32, ReencodeError> {
        Ok(self.tables[index as usize])
    }

    fn global_index(&mut self, index: u32) -> Result<u32, ReencodeError> {
        Ok(self.globals[index as usize])
    }

    fn instruction<'i>(&mut self, operator: Operator<'i>) -> Result<Instruction<'i>, ReencodeError> {
        if let Operator::GlobalGet { global_index } = operator
            && let Some(value) = self.constants.get(&self.globals[global_index as usize])
        {
            return Ok(Instruction::I32Const(*value));
        }
        utils::instruction(self, operator)
    }
}
