//! `hookmill plugin test`: maps the payloads of a project with its plugin as a host does.

mod conformance;

use super::loader::Loader;
use crate::text::clean;
use crate::toolchain::build;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use conformance::ConformanceOptions;
use hookmill_host::map;
use hookmill_host::payload_file::{PayloadFile, is_payload};
use hookmill_host::source::Source;
use hookmill_incident::{Event, FailureCode, Verdict};
use hookmill_sandbox::{Call, LogLine, Plugin, to_component};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

/// The id in the tests of the Rust SDK, so that both tests get the same result for a payload.
const EVENT_ID: Uuid = Uuid::from_u128(0x018c_c251_f400_7000_8000_0000_0000_0001);
const RECEIVED_AT_MS: i64 = 1_704_067_200_000;
const SOURCE: &str = "test";
/// The number of lines that are shown before and after a difference.
const CONTEXT_LINES: usize = 2;

/// The arguments of `hookmill plugin test`.
#[derive(Debug, Args)]
pub(crate) struct PluginTest {
    /// Folders of plugin projects, with payloads/NAME.json and the expected result in payloads/NAME.expected.json;
    /// payloads/NAME.event.json has the headers and the context of a payload
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Use this plugin file instead of building DIR
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Write the results to the expected files; read the differences before you keep them
    #[arg(long, conflicts_with = "conformance")]
    update: bool,
    #[command(flatten)]
    conformance: ConformanceOptions,
}

impl PluginTest {
    /// Returns the command for one project.
    pub fn of(folder: PathBuf) -> Self {
        Self { folders: vec![folder], plugin: None, update: false, conformance: ConformanceOptions::default() }
    }

    /// Runs the command.
    pub fn run(self) -> Result<()> {
        ensure!(self.plugin.is_none() || self.folders.len() == 1, "--plugin is for one folder; give one DIR");
        let cases = self.folders.iter().map(|folder| payloads(folder)).collect::<Result<Vec<_>>>()?;
        let loader = Loader::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if self.conformance.is_requested() {
            return runtime.block_on(self.check_conformance(&loader, &cases));
        }
        let mut different = 0;
        for (folder, payloads) in self.folders.iter().zip(cases) {
            different += runtime.block_on(self.check_all(&loader, folder, payloads))?;
        }
        match different {
            0 => Ok(()),
            1 => bail!("the result of one payload is not as expected"),
            count => bail!("the results of {count} payloads are not as expected"),
        }
    }

    /// Tests one project. Returns the number of payloads that do not become what is expected.
    async fn check_all(&self, loader: &Loader, folder: &Path, payloads: Vec<PathBuf>) -> Result<usize> {
        let plugin = self.load(loader, folder).await.with_context(|| folder.display().to_string())?;
        println!("{}", folder.display());
        let mut different = 0;
        for payload in payloads {
            let fits = self.check(&plugin, &payload).await?;
            different += usize::from(!fits);
        }
        Ok(different)
    }

    async fn check_conformance(&self, loader: &Loader, cases: &[Vec<PathBuf>]) -> Result<()> {
        let mut failing = Vec::new();
        for (folder, payloads) in self.folders.iter().zip(cases) {
            let file = self.plugin_file(folder)?;
            if !self.conformance.check(loader, folder, file.path(), payloads).await? {
                failing.push(folder.display().to_string());
            }
        }
        ensure!(failing.is_empty(), "not every check is passed by {}", failing.join(", "));
        Ok(())
    }

    async fn load(&self, loader: &Loader, folder: &Path) -> Result<Arc<Plugin>> {
        Ok(loader.load(self.plugin_file(folder)?.path()).await?.plugin)
    }

    /// Returns the given plugin file, or builds the project.
    fn plugin_file(&self, folder: &Path) -> Result<PluginFile> {
        if let Some(file) = &self.plugin {
            return Ok(PluginFile::Given(file.clone()));
        }
        let built = build(&[folder.to_owned()])?.pop().context("nothing was built")?;
        let temporary = tempfile::tempdir().context("cannot create a folder for the plugin")?;
        let file = temporary.path().join(format!("{}.wasm", built.name));
        std::fs::write(&file, to_component(&built.wasm)?).context("cannot write the plugin")?;
        Ok(PluginFile::Built { file, _folder: temporary })
    }

    /// Prints and returns whether the result of a payload is as expected.
    async fn check(&self, plugin: &Arc<Plugin>, payload: &Path) -> Result<bool> {
        let name = payload.file_stem().unwrap_or_default().to_string_lossy();
        let made = match outcome(plugin, PayloadFile::read(payload)?).await {
            Ok(made) => format!("{made:#}\n"),
            Err(Refused { reason, log }) => {
                println!("  ✗ {name}: {}", clean(&reason));
                for line in log.iter().flat_map(|line| line.message.lines()) {
                    println!("    {}", clean(line));
                }
                return Ok(false);
            }
        };
        let file = payload.with_extension("expected.json");
        let expected = match std::fs::read_to_string(&file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        // The layout of the JSON does not matter.
        let same = expected.as_deref().is_some_and(|text| is_same(text, &made));
        if same {
            println!("  ✓ {name}");
            return Ok(true);
        }
        let difference = difference(expected.as_deref().unwrap_or_default(), &made);
        if self.update {
            std::fs::write(&file, &made).with_context(|| format!("cannot write {}", file.display()))?;
            println!("  ✓ {name}: wrote {}\n{difference}", file.display());
            return Ok(true);
        }
        match expected {
            Some(_) => {
                println!(
                    "  ✗ {name}: - is only in {}, + only in the result of the plugin\n{difference}",
                    file.display()
                )
            }
            None => println!("  ✗ {name}: {} is missing; --update writes it\n{difference}", file.display()),
        }
        Ok(false)
    }
}

/// A plugin file, which exists as long as this value.
enum PluginFile {
    Given(PathBuf),
    Built { file: PathBuf, _folder: TempDir },
}

impl PluginFile {
    fn path(&self) -> &Path {
        match self {
            Self::Given(file) | Self::Built { file, .. } => file,
        }
    }
}

/// Returns the payload files of a project.
fn payloads(folder: &Path) -> Result<Vec<PathBuf>> {
    let payloads = folder.join("payloads");
    let entries =
        std::fs::read_dir(&payloads).with_context(|| format!("cannot read the folder {}", payloads.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|file| is_payload(file)).collect();
    files.sort();
    ensure!(!files.is_empty(), "{} does not have a payload; add one as NAME.json", payloads.display());
    Ok(files)
}

/// An outcome that a host would not accept.
struct Refused {
    reason: String,
    /// The log of the plugin.
    log: Vec<LogLine>,
}

/// Returns the outcome that the plugin returns for a payload.
///
/// # Errors
/// Returns the reason if a host would not accept the outcome.
async fn outcome(plugin: &Arc<Plugin>, payload: PayloadFile) -> Result<Value, Refused> {
    let PayloadFile { body, headers, context } = payload;
    let source = Source::unregistered(SOURCE.to_owned());
    let event = Event::dry_run(EVENT_ID, RECEIVED_AT_MS, source.name.clone(), headers, body.into());
    let event = Event { context, ..event };
    let Call { result: verdict, log, .. } = map::run(plugin, &event, &source).await;
    match verdict {
        Verdict::Failed(failure) if !matches!(failure.code, FailureCode::Malformed | FailureCode::Unsupported) => {
            Err(Refused { reason: format!("{}: {}", failure.code, failure.message), log })
        }
        Verdict::Wait(reason) => Err(Refused { reason, log }),
        _ => {
            // A host keeps only a part of the outcome, so a second call returns all of it.
            let call = plugin.outcome_json(&event, &source.settings.settings).await;
            call.result.map_err(|error| Refused { reason: error.to_string(), log: call.log })
        }
    }
}

fn is_same(expected: &str, made: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    read(expected).is_some_and(|expected| Some(expected) == read(made))
}

/// Returns the lines that differ, each with a few lines before and after.
fn difference(expected: &str, made: &str) -> String {
    // The same layout on both sides, so that only values differ.
    let expected = serde_json::from_str::<Value>(expected).map_or(expected.to_owned(), |value| format!("{value:#}\n"));
    let diff = TextDiff::from_lines(expected.as_str(), made);
    let mut text = String::new();
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            text += "    …\n";
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            text += &format!("    {sign} {}\n", clean(change.value().trim_end_matches('\n')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_lines_that_differ_are_shown_with_those_around_them() {
        let expected = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}).to_string();
        let made = format!("{:#}\n", json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 7, "f": 6}));
        assert!(!is_same(&expected, &made));
        let shown = [
            r#"        "c": 3,"#,
            r#"        "d": 4,"#,
            r#"    -   "e": 5,"#,
            r#"    +   "e": 7,"#,
            r#"        "f": 6"#,
            "      }\n",
        ];
        assert_eq!(difference(&expected, &made), shown.join("\n"));
        assert!(is_same(&made.replace('\n', " "), &made));
    }
}
