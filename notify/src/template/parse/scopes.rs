//! The scopes of a template while it is parsed, and the fields that its paths lead to.

use crate::Trigger;
use crate::fields::FieldType;
use crate::template::syntax::{Expression, Variable};
use anyhow::{Result, anyhow, bail, ensure};
use handlebars::template::{BlockParam, HelperTemplate, Parameter};
use handlebars::{Path, PathSeg};

/// An expression with the type of its value, if that is known.
pub(super) type Typed = (Expression, Option<FieldType>);

/// The start of paths: the message, or the subject of a block.
#[derive(Clone)]
pub(super) struct Scope {
    /// The type of the value, if it is known.
    field_type: Option<FieldType>,
    /// The path of the value, for error messages.
    path: String,
    /// Whether the value is an element of a list or an object, or the subject of a `{{#with}}` in one.
    is_item: bool,
    /// The names of `as |value key|`.
    value_name: Option<String>,
    key_name: Option<String>,
}

impl Scope {
    fn is_named(&self, name: &str) -> bool {
        self.value_name.as_deref() == Some(name) || self.key_name.as_deref() == Some(name)
    }
}

/// The scopes around the expression that is parsed.
pub(super) struct Scopes {
    trigger: Trigger,
    /// From the message to the innermost block.
    scopes: Vec<Scope>,
}

impl Scopes {
    pub fn new(trigger: Trigger) -> Self {
        let message = Scope {
            field_type: Some(trigger.message_type()),
            path: String::new(),
            is_item: false,
            value_name: None,
            key_name: None,
        };
        Self { trigger, scopes: vec![message] }
    }

    pub fn enter(&mut self, scope: Scope) {
        self.scopes.push(scope);
    }

    pub fn leave(&mut self) {
        self.scopes.pop();
    }

    fn scope(&self, up: usize) -> Option<&Scope> {
        self.scopes.get(self.scopes.len().checked_sub(up + 1)?)
    }

    /// Returns the scope within an `{{#each}}` or `{{#with}}` whose subject has the type `field_type`.
    pub fn within(
        &self,
        block: &HelperTemplate,
        name: &str,
        subject: &Parameter,
        field_type: Option<FieldType>,
    ) -> Result<Scope> {
        let around = self.scope(0).ok_or_else(|| anyhow!("there is no scope"))?;
        let path = subject.as_name().unwrap_or("this").to_owned();
        let inner = match (name, field_type) {
            ("each", Some(FieldType::List(element))) => Some(*element),
            ("each", Some(FieldType::TextMap)) => Some(FieldType::Text),
            ("each", Some(FieldType::Any | FieldType::Object(_)) | None) => None,
            ("each", Some(_)) => bail!("`{path}` is not a list"),
            (_, known) => known.filter(|known| !matches!(known, FieldType::Any)),
        };
        let (value_name, key_name) = match &block.block_param {
            Some(BlockParam::Single(value)) => (value.as_name().map(str::to_owned), None),
            Some(BlockParam::Pair((value, key))) => {
                (value.as_name().map(str::to_owned), key.as_name().map(str::to_owned))
            }
            _ => (None, None),
        };
        Ok(Scope { field_type: inner, path, is_item: name == "each" || around.is_item, value_name, key_name })
    }

    /// Resolves a path such as `../object.title`, or a variable such as `@index`.
    pub fn path(&self, path: &Path, shown: &str) -> Result<Typed> {
        match path {
            Path::Local((up, name, _)) => self.variable(*up, name),
            Path::Relative((segments, _)) => {
                let names = segments.iter().filter_map(|segment| match segment {
                    PathSeg::Named(name) => Some(name.clone()),
                    _ => None,
                });
                let names: Vec<String> = names.collect();
                let ups = segments.len() - names.len();
                if shown.trim_start_matches("this.").trim_start_matches("./").starts_with("@root") {
                    self.path_in_scope(self.scopes.len() - 1, names, shown)
                } else if ups == 0 && !shown.starts_with("this") && !shown.starts_with("./") {
                    self.named(names, shown)
                } else {
                    self.path_in_scope(ups, names, shown)
                }
            }
        }
    }

    fn variable(&self, up: usize, name: &str) -> Result<Typed> {
        if name == "root" {
            let message = Expression::Path(self.scopes.len() - 1, Vec::new());
            return Ok((message, Some(self.trigger.message_type())));
        }
        ensure!(self.scope(up).is_some_and(|scope| scope.is_item), "`@{name}` has a value only within `{{{{#each}}}}`");
        let (variable, field_type) = match name {
            "index" => (Variable::Index, FieldType::Number),
            "key" => (Variable::Key, FieldType::Text),
            "first" => (Variable::First, FieldType::Boolean),
            "last" => (Variable::Last, FieldType::Boolean),
            _ => bail!("unknown variable `@{name}`; expected one of: @index, @key, @first, @last, @root"),
        };
        Ok((Expression::Variable(up, variable), Some(field_type)))
    }

    /// Resolves a path whose first name can be a name of `as |value key|`; else the path begins in the innermost scope.
    pub fn named(&self, mut names: Vec<String>, shown: &str) -> Result<Typed> {
        let Some(first) = names.first() else { return self.path_in_scope(0, names, shown) };
        let Some(up) = self.scopes.iter().rev().position(|scope| scope.is_named(first)) else {
            return self.path_in_scope(0, names, shown);
        };
        let first = names.remove(0);
        if self.scope(up).is_some_and(|scope| scope.key_name.as_ref() == Some(&first)) {
            ensure!(names.is_empty(), "`{first}` is a key or an index and has no fields");
            return Ok((Expression::Variable(up, Variable::KeyOrIndex), None));
        }
        self.path_in_scope(up, names, shown)
    }

    /// Resolves a path that begins in the scope `up` scopes outside of the innermost one.
    fn path_in_scope(&self, up: usize, mut names: Vec<String>, shown: &str) -> Result<Typed> {
        let Some(scope) = self.scope(up) else {
            bail!("`{shown}` leads out of the template: there are fewer blocks around it")
        };
        let (mut field_type, mut parent) = (scope.field_type, scope.path.clone());
        for index in 0..names.len() {
            if let Some(FieldType::TextMap) = field_type {
                // The rest is one name: names of headers can contain dots.
                let rest = names.split_off(index).join(".");
                names.push(rest);
                field_type = Some(FieldType::Text);
                break;
            }
            let name = &names[index];
            field_type = field_type.map(|known| known.member(name, &parent)).transpose()?;
            parent = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        }
        Ok((Expression::Path(up, names), field_type))
    }
}
