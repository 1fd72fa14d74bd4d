//! Commands of operators about the versions of one plugin.

use hookmill_incident::PluginVersion;
use tokio::sync::oneshot;

/// A command about one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionCommand {
    /// Makes the version in the plugins folder live, even if its proof failed.
    Promote,
    /// Makes the version that was live before live again, until the file changes.
    Rollback,
    /// Removes the plugin from all hosts that share the database.
    Remove,
}

/// The reason why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The plugins folder has no file of this plugin.
    #[error("there is no plugin `{0}`")]
    UnknownPlugin(String),
    /// The plugin is being loaded.
    #[error("plugin `{0}` is being loaded; try again")]
    Loading(String),
    /// The file changed while it was read.
    #[error("the file of the plugin is being changed; try again")]
    FileChanging,
    /// The requested version cannot be live. The text is the reason.
    #[error("{0}")]
    Refused(String),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

/// A command on its way to the task that owns the plugins folder.
#[derive(Debug)]
pub struct CommandRequest {
    /// The name of the plugin.
    pub name: String,
    /// The command.
    pub command: VersionCommand,
    /// The channel for the answer: the version that is live afterwards.
    pub reply: oneshot::Sender<Result<PluginVersion, CommandError>>,
}
