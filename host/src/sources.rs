//! The known sources, for all modules that look one up. Only the registry changes them.

use crate::source::Source;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Sources by name.
pub type SourceMap = BTreeMap<Arc<str>, Arc<Source>>;

/// The published sources. A reader sees all sources as they were before a change, or all as they are after it.
#[derive(Debug, Default)]
pub struct Sources {
    published: ArcSwap<SourceMap>,
    unusable: ArcSwap<BTreeMap<String, String>>,
    changed: watch::Sender<()>,
}

impl Sources {
    /// Returns a source by its name.
    pub fn get(&self, name: &str) -> Option<Arc<Source>> {
        self.published.load().get(name).cloned()
    }

    /// Returns the source whose name a sender probably meant: one that takes posts and differs only in case or in the characters
    /// around it.
    pub fn meant_by(&self, name: &str) -> Option<Arc<Source>> {
        let core = name.trim_matches(|char: char| !char.is_ascii_alphanumeric());
        let sources = self.published.load();
        let mut posted = sources.values().filter(|source| !source.settings.is_pulled());
        posted.find(|source| source.name.eq_ignore_ascii_case(core)).cloned()
    }

    /// Returns every source.
    pub fn all(&self) -> Arc<SourceMap> {
        self.published.load_full()
    }

    /// Returns the registered sources that cannot be used, each with the reason. Removing such a source, or rotating
    /// its secret without an overlap, repairs it.
    pub fn unusable(&self) -> Arc<BTreeMap<String, String>> {
        self.unusable.load_full()
    }

    /// Returns a receiver that is notified when the sources change.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Replaces all sources.
    pub(crate) fn publish(&self, sources: SourceMap, unusable: BTreeMap<String, String>) {
        self.unusable.store(Arc::new(unusable));
        self.published.store(Arc::new(sources));
        self.changed.send_replace(());
    }

    /// Replaces one source, or removes it if there is no replacement.
    pub(crate) fn replace(&self, name: &str, source: Option<Arc<Source>>) {
        let mut sources = SourceMap::clone(&self.published.load());
        match source {
            Some(source) => sources.insert(source.name.clone(), source),
            None => sources.remove(name),
        };
        let mut unusable = BTreeMap::clone(&self.unusable.load());
        unusable.remove(name);
        self.publish(sources, unusable);
    }
}
