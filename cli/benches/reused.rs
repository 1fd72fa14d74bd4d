//! One instance that is called many times: the cost of a call without instantiation. It keeps state between payloads
//! and its allocator frees nothing, so it is replaced before its memory runs out.

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

mod wit {
    wasmtime::component::bindgen!({ path: "../wit", world: "mapper-plugin" });
}

use wit::hookmill::plugin::log::{Host, Level, add_to_linker};
use wit::hookmill::plugin::types::{Event, Outcome};
use wit::{MapperPlugin, MapperPluginPre};

const CALLS: usize = 1000;

pub struct Instance {
    engine: Engine,
    pre: MapperPluginPre<Quiet>,
    live: Option<(Store<Quiet>, MapperPlugin)>,
    calls: usize,
}

pub struct Quiet;

impl Host for Quiet {
    fn write(&mut self, _: Level, _: String) {}
}

impl Instance {
    pub fn new(bytes: &[u8]) -> Self {
        let engine = Engine::new(&Config::new()).unwrap();
        let mut linker = Linker::new(&engine);
        add_to_linker::<_, HasSelf<Quiet>>(&mut linker, |quiet| quiet).unwrap();
        let component = Component::from_binary(&engine, bytes).unwrap();
        let pre = MapperPluginPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, pre, live: None, calls: 0 }
    }

    pub fn map(&mut self, payload: &str) -> Outcome {
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS) {
            self.live = None;
        }
        let (store, mapper) = self.live.get_or_insert_with(|| {
            let mut store = Store::new(&self.engine, Quiet);
            let mapper = self.pre.instantiate(&mut store).unwrap();
            (store, mapper)
        });
        let event = Event {
            id: "00000000-0000-0000-0000-000000000000".into(),
            source: "crowdstrike".into(),
            received_at: 1_704_067_200_000,
            content_type: Some("application/json".into()),
            headers: Vec::new(),
            context: Vec::new(),
            settings: Vec::new(),
            body: payload.into(),
        };
        mapper.hookmill_plugin_mapper().call_to_incidents(store, &event).unwrap().unwrap()
    }
}
