//! The products whose payloads the bundled mappers read.

use hookmill_notify::bodies::OcsfProduct;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The names of the plugins with the texts of their files `vendor.yaml`.
pub(crate) const VENDOR_FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/vendor_files.rs"));

/// The part of a file that names the product.
#[derive(Deserialize)]
struct Product {
    vendor: Option<String>,
    product: String,
}

static PRODUCTS: LazyLock<HashMap<&str, Product>> = LazyLock::new(|| {
    let products = VENDOR_FILES.iter().map(|(name, text)| Some((*name, serde_saphyr::from_str(text).ok()?)));
    products.flatten().collect()
});

/// Returns the product whose payloads a bundled mapper reads; `None` if the mapper is for any product.
pub fn of_mapper(name: &str) -> Option<OcsfProduct<'static>> {
    let Product { vendor, product } = PRODUCTS.get(name)?;
    Some(OcsfProduct { name: product, vendor: vendor.as_ref()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_can_be_read_and_names_a_vendor_unless_it_is_for_any() {
        for (name, _) in VENDOR_FILES {
            assert!(PRODUCTS.contains_key(name), "plugins/{name}/vendor.yaml");
            assert_eq!(of_mapper(name).is_none(), *name == "generic", "`vendor` of plugins/{name}/vendor.yaml");
        }
    }
}
