//! Templates of signed content: literal text, and the names of values in braces.

use crate::declaration::DeclarationError;

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment<V> {
    Value(V),
    Text(String),
}

/// Parses the template of a key, which may name these values.
pub(crate) fn parse<V: Copy>(key: &str, text: &str, values: &[(&str, V)]) -> Result<Vec<Segment<V>>, DeclarationError> {
    let mut segments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find('{').unwrap_or(rest.len());
        if start > 0 {
            segments.push(Segment::Text(rest[..start].to_owned()));
            rest = &rest[start..];
            continue;
        }
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let name = rest[1..end].strip_suffix('}');
        let found = values.iter().find(|(known, _)| Some(*known) == name).map(|(_, value)| *value);
        segments.push(Segment::Value(found.ok_or_else(|| {
            let names: Vec<String> = values.iter().map(|(name, _)| format!("{{{name}}}")).collect();
            DeclarationError::new(format!("`{key}`: `{}` is not one of: {}", &rest[..end], names.join(", ")))
        })?));
        rest = &rest[end..];
    }
    Ok(segments)
}
