//! The core modules of a component, and how they are instantiated.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, Data, Element, ExternalKind, FuncType, FunctionBody, Global,
    Import, Instance, MemoryType, Parser, Payload, Table, TypeRef,
};

/// The name of the table that libraries have in common.
const SHARED_TABLE: &str = "__indirect_function_table";
/// The module of imports that an adapter provides.
const ADAPTED: &str = "wasi_snapshot_preview1";

/// The kind of an import or export of a core module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

impl From<ExternalKind> for Kind {
    fn from(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }
}

impl From<TypeRef> for Kind {
    fn from(imported: TypeRef) -> Self {
        match imported {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Function,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }
}

/// The sections of a core module.
#[derive(Default)]
pub(super) struct CoreModule<'a> {
    pub types: Vec<FuncType>,
    pub imports: Vec<Import<'a>>,
    pub functions: Vec<u32>,
    pub tables: Vec<Table<'a>>,
    pub memories: Vec<MemoryType>,
    pub globals: Vec<Global<'a>>,
    exports: HashMap<&'a str, (Kind, u32)>,
    pub elements: Vec<Element<'a>>,
    pub data: Vec<Data<'a>>,
    pub code: Vec<FunctionBody<'a>>,
    has_start: bool,
}

impl<'a> CoreModule<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    module.types = section.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(section) => module.imports = section.into_imports().collect::<Result<_, _>>()?,
                Payload::FunctionSection(section) => {
                    module.functions = section.into_iter().collect::<Result<_, _>>()?
                }
                Payload::TableSection(section) => module.tables = section.into_iter().collect::<Result<_, _>>()?,
                Payload::MemorySection(section) => module.memories = section.into_iter().collect::<Result<_, _>>()?,
                Payload::GlobalSection(section) => module.globals = section.into_iter().collect::<Result<_, _>>()?,
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        module.exports.insert(export.name, (export.kind.into(), export.index));
                    }
                }
                Payload::ElementSection(section) => module.elements = section.into_iter().collect::<Result<_, _>>()?,
                Payload::DataSection(section) => module.data = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => module.code.push(body),
                Payload::StartSection { .. } => module.has_start = true,
                _ => {}
            }
        }
        Ok(module)
    }

    /// Returns the imports of a kind in the order of their indices.
    pub fn imports_of(&self, kind: Kind) -> impl Iterator<Item = &Import<'a>> {
        self.imports.iter().filter(move |import| Kind::from(import.ty) == kind)
    }

    /// Returns the kind and the index of an export.
    ///
    /// # Errors
    /// Returns an error if the module has no such export.
    pub fn export(&self, name: &str) -> Result<(Kind, u32)> {
        self.exports.get(name).copied().with_context(|| format!("a module has no export `{name}`"))
    }
}

/// Returns whether the host or its adapter provides an import of a library, not another library.
pub(super) fn is_of_host(import: &Import) -> bool {
    import.module.contains(':') || import.module == ADAPTED
}

/// An export of the instance of a core module; `None` for what the component itself makes.
type Source<'a> = Option<(usize, &'a str)>;

/// The core modules of a component, and how they are instantiated.
#[derive(Default)]
pub(super) struct Parts<'a> {
    modules: Vec<CoreModule<'a>>,
    instances: Vec<CoreInstance<'a>>,
    sources: HashMap<Kind, Vec<Source<'a>>>,
    /// The functions that the exports of the component use, and the instances that have them.
    pub lifted: BTreeMap<&'a str, usize>,
}

enum CoreInstance<'a> {
    OfModule { module: usize, arguments: HashMap<&'a str, usize> },
    OfItems(HashMap<&'a str, (Kind, usize)>),
}

impl<'a> From<Instance<'a>> for CoreInstance<'a> {
    fn from(instance: Instance<'a>) -> Self {
        match instance {
            Instance::Instantiate { module_index, args } => Self::OfModule {
                module: module_index as usize,
                arguments: args.iter().map(|argument| (argument.name, argument.index as usize)).collect(),
            },
            Instance::FromExports(items) => {
                Self::OfItems(items.iter().map(|item| (item.name, (item.kind.into(), item.index as usize))).collect())
            }
        }
    }
}

impl<'a> Parts<'a> {
    /// Reads a component.
    ///
    /// # Errors
    /// Returns an error if the component is not valid.
    pub fn read(component: &'a [u8]) -> Result<Self> {
        let mut parts = Self::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ModuleSection { unchecked_range, .. } if depth == 1 => {
                    parts.modules.push(CoreModule::read(&component[unchecked_range])?);
                }
                Payload::InstanceSection(section) if depth == 1 => {
                    for instance in section {
                        parts.instances.push(instance?.into());
                    }
                }
                Payload::ComponentAliasSection(section) if depth == 1 => {
                    for alias in section {
                        if let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = alias? {
                            parts.sources.entry(kind.into()).or_default().push(Some((instance_index as usize, name)));
                        }
                    }
                }
                Payload::ComponentCanonicalSection(section) if depth == 1 => {
                    for function in section {
                        parts.add_canonical(&function?);
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    fn add_canonical(&mut self, function: &CanonicalFunction) {
        let functions = self.sources.entry(Kind::Function).or_default();
        let CanonicalFunction::Lift { core_func_index, options, .. } = function else {
            functions.push(None);
            return;
        };
        let used = options.iter().filter_map(|option| match option {
            CanonicalOption::Realloc(index) | CanonicalOption::PostReturn(index) => Some(*index),
            _ => None,
        });
        let used = used.chain([*core_func_index]).filter_map(|index| functions[index as usize]);
        self.lifted.extend(used.map(|(instance, name)| (name, instance)));
    }

    /// Returns the module of an instance.
    ///
    /// # Errors
    /// Returns an error if the instance is not that of a module.
    pub fn module(&self, instance: usize) -> Result<&CoreModule<'a>> {
        match self.instances.get(instance) {
            Some(CoreInstance::OfModule { module, .. }) => self.modules.get(*module).context("a module is missing"),
            _ => anyhow::bail!("an instance has no module"),
        }
    }

    /// Returns the instance of a module that an import comes from, and the name there.
    pub fn source(&self, instance: usize, import: &Import<'a>) -> Source<'a> {
        match self.instances.get(instance)? {
            CoreInstance::OfModule { arguments, .. } => self.export_of(*arguments.get(import.module)?, import.name),
            CoreInstance::OfItems(_) => None,
        }
    }

    fn export_of(&self, instance: usize, name: &'a str) -> Source<'a> {
        match self.instances.get(instance)? {
            CoreInstance::OfModule { .. } => Some((instance, name)),
            CoreInstance::OfItems(items) => {
                let (kind, index) = items.get(name)?;
                let (instance, name) = (*self.sources.get(kind)?.get(*index)?)?;
                self.export_of(instance, name)
            }
        }
    }

    /// Returns the instances of the modules that share a table, and of those that they import from, in their order.
    ///
    /// # Errors
    /// Returns an error if one of them has a start function.
    pub fn libraries(&self) -> Result<Vec<usize>> {
        let shares_table = |instance: &usize| {
            let module = self.module(*instance);
            module.is_ok_and(|module| module.imports.iter().any(|import| import.name == SHARED_TABLE))
        };
        let mut open: Vec<usize> = (0..self.instances.len()).filter(shares_table).collect();
        let mut found = BTreeSet::new();
        while let Some(instance) = open.pop() {
            if found.insert(instance) {
                let module = self.module(instance)?;
                ensure!(!module.has_start, "a library has a start function");
                let imports = module.imports.iter().filter(|import| !is_of_host(import));
                open.extend(imports.filter_map(|import| self.source(instance, import)).map(|(source, _)| source));
            }
        }
        Ok(found.into_iter().collect())
    }
}
