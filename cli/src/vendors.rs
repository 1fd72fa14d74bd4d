//! `hookmill vendors`: what the vendors of the bundled mappers send, and how they are connected. No host is needed.

use super::text::table;
use anyhow::{Context, Result};
use clap::Args;
use hookmill_host::api::shapes::{List, Vendor, VendorWay};
use hookmill_host::source::SourceKind;
use hookmill_host::vendors::bundled;
use serde_json::json;
use std::fmt::Write;

/// The arguments of `hookmill vendors`.
#[derive(Debug, Args)]
pub(super) struct Vendors {
    /// The vendor whose steps are shown [default: a list of all]
    name: Option<String>,
    /// Print JSON, in the form of the API
    #[arg(long)]
    json: bool,
}

impl Vendors {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let text = match (&self.name, self.json) {
            (Some(name), true) => format!("{:#}", json!(find(name)?)),
            (Some(name), false) => described(&find(name)?),
            (None, true) => format!("{:#}", json!(List::complete(bundled()?))),
            (None, false) => {
                let rows = bundled()?.iter().map(row).collect();
                table(["NAME", "VENDOR", "WAY IN", "KINDS", "SENDS"], rows)
            }
        };
        println!("{}", text.trim_end());
        Ok(())
    }
}

/// Returns the vendor of a bundled mapper.
///
/// # Errors
/// Returns an error if no bundled mapper has this name.
pub(super) fn find(name: &str) -> Result<Vendor> {
    let vendors = bundled()?;
    let names: Vec<String> = vendors.iter().map(|vendor| vendor.name.clone()).collect();
    let found = vendors.into_iter().find(|vendor| vendor.name == name);
    found.with_context(|| format!("there is no vendor `{name}`; expected one of {}", names.join(", ")))
}

fn row(vendor: &Vendor) -> [String; 5] {
    let mut ways: Vec<&str> = vendor.ways.iter().map(way_in).collect();
    ways.dedup();
    [
        vendor.name.clone(),
        vendor.product.clone(),
        ways.join(", "),
        vendor.kinds.len().to_string(),
        vendor.sends.join("; "),
    ]
}

fn way_in(way: &VendorWay) -> &'static str {
    if way.kind == SourceKind::Webhook { "posted" } else { "pulled" }
}

fn described(vendor: &Vendor) -> String {
    let mut text = format!("{}: {}\n\nIt sends\n{}", vendor.name, vendor.product, items(&vendor.sends));
    for (index, way) in vendor.ways.iter().enumerate() {
        let _ = write!(text, "\nWay {}: {} ({})\n{}", index + 1, way.title, way_in(way), way_text(way));
    }
    let kinds: Vec<String> = vendor.kinds.iter().map(|kind| format!("{}: {}", kind.kind, kind.what)).collect();
    let _ = write!(text, "\nKinds of payloads that the vendor documents\n{}", items(&kinds));
    let _ = write!(text, "\nIf nothing arrives\n{}\nDocuments of the vendor\n", items(&vendor.checks));
    for document in &vendor.documents {
        let _ = writeln!(text, "  - {}, {}", document.title, document.url.as_deref().unwrap_or("for customers"));
    }
    let _ = write!(
        text,
        "\nA mapper of your own that begins with this one\n  hookmill plugin new DIR --vendor {}\n",
        vendor.name
    );
    text
}

/// Returns how a vendor is connected in one way.
pub(super) fn way_text(way: &VendorWay) -> String {
    let mut text = format!("  {}\n", way.authentication);
    if !way.headers.is_empty() {
        let _ = writeln!(text, "  Headers: {}", way.headers.join(", "));
    }
    for (index, step) in way.steps.iter().enumerate() {
        let _ = writeln!(text, "  {}. {step}", index + 1);
    }
    for value in &way.values {
        let _ = writeln!(text, "  {} is {}.", value.name, value.meaning);
    }
    let _ = writeln!(text, "  In the configuration file:\n");
    way.yaml.lines().for_each(|line| text += &format!("    {line}\n"));
    text
}

fn items(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  - {line}\n")).collect()
}
