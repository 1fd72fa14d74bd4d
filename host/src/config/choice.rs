//! Keys of a source that take one name or something longer: `plugin` and `scheme`.

use super::scalar::Name;
use super::value::{Interpolated, InterpolatedTexts, read};
use crate::source::PluginChoice;
use hookmill_signatures::{Declaration as SchemeDeclaration, OneOrMany};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// `plugin: none`, `plugin: auto`, `plugin: NAME` or `plugin: [NAME, …]`.
#[derive(Hash)]
pub(super) struct DeclaredPlugin(pub PluginChoice);

/// `scheme: NAME` or `scheme: { type: NAME, … }`.
#[derive(Hash)]
pub(super) struct DeclaredScheme(pub SchemeDeclaration);

impl<'de> Deserialize<'de> for DeclaredPlugin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PluginVisitor;

        impl<'de> Visitor<'de> for PluginVisitor {
            type Value = DeclaredPlugin;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("`auto`, `none`, a plugin's name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let name: Name = read(text).map_err(E::custom)?;
                Ok(DeclaredPlugin(match name.as_str() {
                    "auto" => PluginChoice::Auto,
                    "none" => PluginChoice::None,
                    _ => PluginChoice::Named(vec![name.into()]),
                }))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(Interpolated(name)) = items.next_element::<Interpolated<Name>>()? {
                    names.push(name.into());
                }
                Ok(DeclaredPlugin(PluginChoice::Named(names)))
            }
        }
        deserializer.deserialize_any(PluginVisitor)
    }
}

impl<'de> Deserialize<'de> for DeclaredScheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SchemeVisitor;

        impl<'de> Visitor<'de> for SchemeVisitor {
            type Value = DeclaredScheme;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a scheme's name, or `{ type: NAME, … }`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let name: String = read(text).map_err(E::custom)?;
                Ok(DeclaredScheme(SchemeDeclaration::preset(&name)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, value)) = members.next_entry::<String, InterpolatedTexts>()? {
                    if keys.insert(key.clone(), value.0).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is set twice")));
                    }
                }
                match keys.remove("type") {
                    Some(OneOrMany::One(scheme)) => Ok(DeclaredScheme(SchemeDeclaration { scheme, keys })),
                    _ => Err(A::Error::custom("set exactly one `type`, such as { type: hmac, … }")),
                }
            }
        }
        deserializer.deserialize_any(SchemeVisitor)
    }
}
