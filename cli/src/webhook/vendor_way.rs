//! The keys of a source that a vendor's way into the host needs.

use crate::vendors::find;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use hookmill_host::api::shapes::VendorWay;
use hookmill_host::source::SourceKind;
use serde_json::{Map, Value};

/// The options that choose a vendor.
#[derive(Debug, Args)]
pub(crate) struct VendorOptions {
    /// The vendor, whose scheme and mapper are used; `hookmill vendors` lists them
    #[arg(long, value_name = "VENDOR")]
    vendor: Option<String>,
    /// The number of the vendor's way into the host, as `hookmill vendors VENDOR` shows
    #[arg(long, value_name = "N", default_value_t = 1, requires = "vendor")]
    way: usize,
    /// A value that the vendor's way needs; may be repeated
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "vendor")]
    values: Vec<(String, String)>,
}

impl VendorOptions {
    /// Returns the chosen way with the keys of the source, if a vendor is chosen.
    ///
    /// # Errors
    /// Returns an error if there is no such vendor or way, a value is missing, or the host reads the source.
    pub fn resolve(self) -> Result<Option<(VendorWay, Map<String, Value>)>> {
        let Some(name) = self.vendor else { return Ok(None) };
        let vendor = find(&name)?;
        let count = vendor.ways.len();
        let way = self.way.checked_sub(1).and_then(|index| vendor.ways.into_iter().nth(index));
        let way = way.with_context(|| format!("`{name}` has no way {}; it has {count}", self.way))?;
        if way.kind != SourceKind::Webhook {
            bail!(
                "the host reads this source, so that it stands in the configuration file only; put this there, with the \
                 values in the environment:\n\n{}",
                way.yaml
            );
        }
        let declaration = way.declaration(&name);
        let declaration = filled(Value::Object(declaration), &way, &self.values)?;
        Ok(Some((way, declaration)))
    }
}

/// Replaces the references to values.
fn filled(declaration: Value, way: &VendorWay, given: &[(String, String)]) -> Result<Map<String, Value>> {
    if let Some((name, _)) = given.iter().find(|(name, _)| !way.values.iter().any(|value| value.name == *name)) {
        bail!("this way needs no value `{name}`");
    }
    let mut text = declaration.to_string();
    for value in &way.values {
        let found = given.iter().find(|(name, _)| *name == value.name);
        ensure!(found.is_some(), "--value {}=… is missing: {}", value.name, value.meaning);
        let quoted = Value::from(found.map_or("", |(_, text)| text)).to_string();
        let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        text = text.replace(&format!("${{{}}}", value.name), escaped);
    }
    Ok(serde_json::from_str(&text)?)
}

fn name_and_value(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').ok_or_else(|| anyhow!("expected NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_as_it_is_given() {
        let given = r#""a\b""#;
        let values = vec![("TOPIC_ARN".to_owned(), given.to_owned())];
        let options = VendorOptions { vendor: Some("guardduty".to_owned()), way: 1, values };
        let (_, declaration) = options.resolve().unwrap().unwrap();
        let text = Value::Object(declaration).to_string();
        assert!(text.contains(&Value::from(given).to_string()), "{text}");
    }
}
