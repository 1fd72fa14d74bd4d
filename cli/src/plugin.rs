//! `hookmill plugin`: creates, builds, checks, runs and tests plugins without a host, and manages those of a
//! running host.

mod build;
mod check;
mod compiled_cache;
mod list;
mod loader;
mod new;
mod precompile;
mod release;
mod run;
mod sign;
mod test;
mod watch;

use anyhow::Result;
use clap::Subcommand;
pub(super) use loader::Loader;
pub(super) use precompile::PRECOMPILED_FOLDER;
pub(super) use release::field_change;

/// The commands on plugins.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Create a small working plugin project in a new folder
    New(new::New),
    /// Build plugin projects to NAME.wasm, ready for a plugins folder
    Build(build::Build),
    /// Describe plugin files, and check that a host would accept them
    Check(check::Check),
    /// Call a plugin file with a payload file, without a host and without storing anything
    Run(run::Run),
    /// Map the payloads of a project with its plugin, and compare the results with the expected files
    Test(test::PluginTest),
    /// Build a project and test it as `plugin test` does, again whenever one of its files changes
    Watch(watch::Watch),
    /// List the plugins of a running host
    List(list::PluginList),
    /// Show which results a new version of a mapper changes, for the payloads that a running host has stored
    Diff(release::Diff),
    /// Make the version in a running host's plugins folder live, even if its proof failed
    Promote(release::Release),
    /// Return to the version that was live before
    Rollback(release::Release),
    /// Remove a plugin from all hosts that share a database
    Remove(release::Release),
    /// Compile the plugin files of a folder into its subfolder `compiled`, for `precompiled_dir` of the configuration
    Precompile(precompile::Precompile),
    /// Sign plugin files, for hosts that accept only signed files
    Sign(sign::Sign),
}

impl PluginCommand {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self {
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Check(check) => check.run(),
            Self::Run(run) => run.run(),
            Self::Test(test) => test.run(),
            Self::Watch(watch) => watch.run(),
            Self::List(list) => list.run(),
            Self::Diff(diff) => diff.run(),
            Self::Promote(release) => release.promote(),
            Self::Rollback(release) => release.rollback(),
            Self::Remove(release) => release.remove(),
            Self::Precompile(precompile) => precompile.run(),
            Self::Sign(sign) => sign.run(),
        }
    }
}
