//! One loaded plugin: its name, kind, digest and limits, and the loading of its file.

use crate::bindings::wit;
use crate::call::{Call, CallError};
use crate::component::{CheckedComponent, CompiledCode, Interface, Kind, PluginFile};
use crate::engine::Sandbox;
use crate::guest::Guest;
use crate::instances::Instances;
use crate::limits::{CallSetup, PluginLimits};
use anyhow::{Context, Result, anyhow, ensure};
use hookmill_incident::PluginVersion;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;
use wasmtime::Store;
use wasmtime::component::{Component, Instance};

/// The deadline of the first call of `describe`. Interpreters need longer for their first start.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(5);
/// The number of repeats, and the pause before each, if the operating system refuses to seal the image of a component's
/// initial memory for the first instance because it is using those pages itself.
const IMAGE_BUSY_RETRIES: u32 = 10;
const IMAGE_BUSY_PAUSE: Duration = Duration::from_millis(100);
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// A plugin's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// A name for people.
    pub name: String,
    /// The version.
    pub version: String,
    /// One sentence about the purpose of the plugin.
    pub summary: String,
    /// The scheme that the vendor signs with.
    pub scheme: Option<String>,
}

/// A plugin that is ready to be called.
pub struct Plugin {
    /// Name, version and digest.
    pub version: Arc<PluginVersion>,
    /// The plugin's description of itself.
    pub description: Description,
    /// The version of the interface that the plugin was built for.
    pub api_version: String,
    pub(crate) compiled: Compiled,
}

/// A component that can be called, before it has described itself.
pub(crate) struct Compiled {
    kind: Kind,
    pub interface: Interface,
    instances: Instances,
    pub limits: PluginLimits,
    /// The memory limit of an instance: that of `limits`, or the default for this component.
    memory_bytes: usize,
}

impl Plugin {
    /// Compiles a file's bytes, checks what they import and export, and calls `describe` once.
    ///
    /// # Errors
    /// Returns an error that explains the problem of the file and how to fix it.
    pub async fn load(
        name: &str,
        bytes: Vec<u8>,
        sandbox: Arc<Sandbox>,
        limits: PluginLimits,
        kept: Option<Arc<dyn CompiledCode>>,
    ) -> Result<Self> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let file = PluginFile { name: name.to_owned(), sha256: sha256.clone(), bytes, kept };
        let component = component(file, &sandbox).await?;
        let CheckedComponent { kind, api_version, interface, component, memory_bytes } =
            CheckedComponent::new(&sandbox, &component)?;
        let now_ms = sandbox.clock().now_ms();
        let instances = Instances::new(sandbox, component, limits.events_per_instance);
        let memory_bytes = limits.memory_bytes.unwrap_or(memory_bytes);
        let compiled = Compiled { kind, interface, instances, limits, memory_bytes };
        let description = compiled.describe(now_ms).await?;
        let version = PluginVersion { name: name.to_owned(), version: description.version.clone(), sha256 };
        Ok(Self { version: Arc::new(version), description, api_version, compiled })
    }

    /// Returns the plugin's kind.
    pub fn kind(&self) -> Kind {
        self.compiled.kind
    }

    /// Returns the wall time that a call may take.
    pub fn deadline(&self) -> Duration {
        self.compiled.limits.deadline
    }

    /// Returns the memory that an instance may have, in bytes.
    pub fn memory_bytes_max(&self) -> usize {
        self.compiled.memory_bytes
    }

    /// Returns the names of the interfaces that the plugin imports.
    pub fn imports(&self) -> Vec<String> {
        self.compiled.instances.imports()
    }

    /// Gives memory back if the plugin was not called since the last time this function was called.
    pub fn rest_if_idle(&self) {
        self.compiled.instances.rest_if_idle();
    }

    /// Returns the result of a call that plugins of this kind do not have.
    pub(crate) fn wrong_kind<T>(&self, wanted: Kind) -> Call<Result<T, CallError>> {
        Call::refused(CallError::Kind { is: self.kind(), wanted }, Duration::ZERO)
    }
}

/// Returns the component of kept compiled code, or compiles the file when it is its turn.
async fn component(file: PluginFile, sandbox: &Arc<Sandbox>) -> Result<Component> {
    let (file, own) = (Arc::new(file), sandbox.clone());
    let restoring = file.clone();
    if let Some(component) = on_own_thread(move || restoring.restore(&own)).await?? {
        return Ok(component);
    }
    let _turn = sandbox.turn_to_compile(file.bytes.len()).await?;
    let own = sandbox.clone();
    on_own_thread(move || file.compile(&own)).await?
}

/// Runs work that blocks on a thread of its own: the threads for blocking work of others stay free, and a process that
/// ends does not wait for it.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("load".into());
    thread.spawn(move || sender.send(work())).context("cannot start a thread that loads the plugin")?;
    receiver.await.context("the thread that loaded the plugin panicked")
}

impl Compiled {
    /// Calls a function of the plugin, in an instance whose clock shows `clock_ms` and whose random numbers depend on
    /// `seed` only.
    pub fn call<T, E>(
        &self,
        clock_ms: i64,
        seed: Uuid,
        run: impl AsyncFnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<Result<T, E>> + Clone,
    ) -> impl Future<Output = Call<Result<Result<T, E>, CallError>>> {
        self.instances.call(self.setup(clock_ms, seed), self.limits.deadline, run)
    }

    fn setup(&self, clock_ms: i64, seed: Uuid) -> CallSetup {
        CallSetup { clock_ms, seed, memory_bytes: self.memory_bytes, output_bytes: self.limits.output_bytes }
    }

    async fn describe(&self, now_ms: i64) -> Result<Description> {
        let mut call = self.call_describe(now_ms).await;
        for _ in 0..IMAGE_BUSY_RETRIES {
            if !matches!(call.result, Err(CallError::ImageBusy(_))) {
                break;
            }
            tokio::time::sleep(IMAGE_BUSY_PAUSE).await;
            call = self.call_describe(now_ms).await;
        }
        let Ok(described) = call.result.map_err(|error| anyhow!("calling `describe` failed: {error}"))?;
        let wit::Description { name, version, summary, scheme } = described;
        let bytes = name.len() + version.len() + summary.len() + scheme.as_ref().map_or(0, String::len);
        ensure!(
            bytes <= DESCRIPTION_BYTES_MAX,
            "the description has {bytes} bytes; at most {DESCRIPTION_BYTES_MAX} are allowed"
        );
        Ok(Description { name, version, summary, scheme })
    }

    async fn call_describe(&self, now_ms: i64) -> Call<Result<Result<wit::Description, Infallible>, CallError>> {
        let setup = self.setup(now_ms, Uuid::nil());
        let describe = async |store: &mut _, instance: &_| {
            let described = match &self.interface {
                Interface::Mapper(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
                Interface::Playbook(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
                Interface::Notifier(indices) => indices.load(&mut *store, instance)?.call_describe(store).await,
            };
            Ok(Ok::<_, Infallible>(described?))
        };
        self.instances.call_once(setup, DESCRIBE_DEADLINE, describe).await
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.debug_struct("Plugin").field("version", &self.version).finish_non_exhaustive()
    }
}
