//! The engine without the host around it: the same settings and the same plugin, and nothing that checks, bounds or counts.

use hookmill_sandbox::{Allocation, engine_config};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

mod wit {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "mapper-plugin",
        exports: { default: async },
    });
}

pub use wit::hookmill::plugin::types::{Event, Field};

use wit::hookmill::plugin::log::{Host, Level, add_to_linker};
use wit::hookmill::plugin::types::Outcome;
use wit::{MapperPlugin, MapperPluginPre};

pub struct EngineAlone {
    engine: Engine,
    instances: InstancePre<Quiet>,
    mapper: MapperPluginPre<Quiet>,
}

pub struct Instance {
    store: Store<Quiet>,
    mapper: MapperPlugin,
}

pub struct Quiet;

impl Host for Quiet {
    fn write(&mut self, _: Level, _: String) {}
}

impl EngineAlone {
    pub fn new(component: &[u8]) -> Self {
        let engine = Engine::new(&engine_config(Allocation::Pooled, 4)).unwrap();
        let mut linker = Linker::new(&engine);
        add_to_linker::<_, HasSelf<Quiet>>(&mut linker, |quiet| quiet).unwrap();
        let component = Component::from_binary(&engine, component).unwrap();
        let instances = linker.instantiate_pre(&component).unwrap();
        let mapper = MapperPluginPre::new(instances.clone()).unwrap();
        Self { engine, instances, mapper }
    }

    fn store(&self) -> Store<Quiet> {
        let mut store = Store::new(&self.engine, Quiet);
        store.set_epoch_deadline(1);
        store
    }

    /// Makes an instance and drops it.
    pub async fn instantiate(&self) {
        self.instances.instantiate_async(self.store()).await.unwrap();
    }

    /// Makes an instance that can be called.
    pub async fn instance(&self) -> Instance {
        let mut store = self.store();
        let mapper = self.mapper.instantiate_async(&mut store).await.unwrap();
        Instance { store, mapper }
    }
}

impl Instance {
    /// Maps an event.
    pub async fn map(&mut self, event: &Event) -> Outcome {
        self.mapper.hookmill_plugin_mapper().call_to_incidents(&mut self.store, event).await.unwrap().unwrap()
    }
}
