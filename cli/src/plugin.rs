//! `hookmill plugin`: makes, builds, checks, tries and tests plugins without a host, and lists those of a running one.

mod build;
mod check;
mod list;
mod loader;
mod new;
mod release;
mod run;
mod sign;
mod test;

use anyhow::Result;
use clap::Subcommand;
pub(super) use release::field_change;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a small plugin project that works, in a folder of its own
    New(new::New),
    /// Build plugin projects to NAME.wasm, ready for a plugins folder
    Build(build::Build),
    /// Say what plugin files are, and whether a host would take them
    Check(check::Check),
    /// Map a payload file with a plugin file, without a host: nothing is stored
    Run(run::Run),
    /// Run a project's payloads through its plugin and compare with what is expected
    Test(test::Test),
    /// List the plugins of a running host
    List(list::List),
    /// Say what a new version of a mapper changes, over the payloads that a running host has
    Diff(release::Diff),
    /// Make the version in a running host's plugins folder live, whatever its proof said
    Promote(release::Release),
    /// Go back to the version that was live before
    Rollback(release::Release),
    /// Sign plugin files, for hosts that take signed ones only
    Sign(sign::Sign),
}

impl PluginCommand {
    pub fn run(self) -> Result<()> {
        match self {
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Check(check) => check.run(),
            Self::Run(run) => run.run(),
            Self::Test(test) => test.run(),
            Self::List(list) => list.run(),
            Self::Diff(diff) => diff.run(),
            Self::Promote(release) => release.promote(),
            Self::Rollback(release) => release.rollback(),
            Self::Sign(sign) => sign.run(),
        }
    }
}
