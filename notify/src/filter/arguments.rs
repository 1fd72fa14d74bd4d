//! The arguments of a filter's operators.

use super::operand::VALUE_BYTES_MAX;
use crate::fields::{Field, FieldType};
use anyhow::{Result, anyhow, bail, ensure};
use serde_json::Value;

/// Returns the field at a path that begins in `scope`.
pub(super) fn find(scope: FieldType, path: &str) -> Result<Field> {
    ensure!(path.len() <= VALUE_BYTES_MAX, "a path has at most {VALUE_BYTES_MAX} bytes; this one has {}", path.len());
    scope.field(path)
}

/// Reads `object.title` or `{_field: object.title}`.
pub(super) fn field(argument: &Value, scope: FieldType) -> Result<Field> {
    let path = match argument {
        Value::String(path) => Some(path.as_str()),
        Value::Object(members) if members.len() == 1 => members.get("_field").and_then(Value::as_str),
        _ => None,
    };
    find(scope, path.ok_or_else(|| anyhow!("expected a path such as object.title, or {{_field: object.title}}"))?)
}

/// Reads `{_field: PATH, KEY: VALUE}` or `{PATH: VALUE}`.
pub(super) fn field_and_value<'a>(argument: &'a Value, key: &str, scope: FieldType) -> Result<(Field, &'a Value)> {
    let found = argument.as_object().and_then(|members| match members.len() {
        1 => {
            members.iter().next().filter(|(path, _)| !path.starts_with('_')).map(|(path, value)| (path.as_str(), value))
        }
        2 => Some((members.get("_field")?.as_str()?, members.get(key)?)),
        _ => None,
    });
    let (path, value) = found.ok_or_else(|| anyhow!("expected {{_field: PATH, {key}: ...}}"))?;
    Ok((plain_field(path, scope)?, value))
}

/// Returns the field at a path. Its value must be comparable: neither an object nor a list of objects.
pub(super) fn plain_field(path: &str, scope: FieldType) -> Result<Field> {
    let field = find(scope, path)?;
    let example = |members: &[(&'static str, FieldType)]| members.first().map_or("NAME", |(name, _)| name);
    match (field.field_type, field.field_type.element()) {
        (FieldType::Object(members), _) => {
            bail!("`{path}` is an object; name one of its fields, such as `{path}.{}`", example(members))
        }
        (FieldType::TextMap, _) => bail!("`{path}` is an object; name one of its fields, such as `{path}.NAME`"),
        (_, FieldType::Object(members)) => {
            bail!("`{path}` is a list of objects; name one of their fields, such as `{path}.{}`", example(members))
        }
        _ => Ok(field),
    }
}

/// Reads a text of limited length.
pub(super) fn text(value: &Value) -> Result<String> {
    let text = value.as_str().filter(|text| (1..=VALUE_BYTES_MAX).contains(&text.len()));
    // Without the value, which YAML may have changed: see `Operand::text`.
    let hint = if value.is_number() || value.is_boolean() { "; put the value into quotes" } else { "" };
    Ok(text.ok_or_else(|| anyhow!("expected a text of 1 to {VALUE_BYTES_MAX} bytes{hint}"))?.to_owned())
}
