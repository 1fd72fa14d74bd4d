//! The engines: Hookmill's sandbox, and libraries that others would run a mapping with.

use crate::mapping::{Case, Incident};
use crate::{built, project, read};
use extism::{CompiledPlugin, Function, Manifest, PluginBuilder, UserData, ValType, Wasm};
use hookmill_incident::Event;
use hookmill_sandbox::{Plugin, PluginLimits, Sandbox};
use rquickjs::{Context, Runtime};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Program, TargetValue, TimeZone};
use vrl::value::{ObjectMap, Secrets, Value};

#[path = "../../../plugins/crowdstrike/mapper.rs"]
#[allow(dead_code, unsafe_code, unused_imports, reason = "the mapper as its plugin has it")]
mod crowdstrike;

const MEMORY_BYTES: usize = 64 * 1024 * 1024;
const PAGE_BYTES: usize = 64 * 1024;
const DEADLINE: Duration = Duration::from_secs(1);
/// The events of an instance that is reused. It is replaced before its memory runs out, because the allocator of mappers in
/// Rust frees nothing.
const EVENTS: u32 = 1000;
const FRESH: &str = "64 MiB, 1 s, fresh";
const REUSED: &str = "64 MiB, 1 s, kept for 1000 events";

pub fn cases(payload: &str, expected: &Incident) -> Vec<Case> {
    let mut cases = vec![
        Case { name: "same mapper, native", isolation: "none, none, kept", run: native(payload) },
        Case { name: "Hookmill, fresh instance", isolation: FRESH, run: hookmill(1, payload) },
        Case { name: "Hookmill, instance reused", isolation: REUSED, run: hookmill(EVENTS, payload) },
    ];
    match extism() {
        Ok(plugin) => cases.extend([
            Case { name: "Extism, fresh instance", isolation: FRESH, run: extism_run(&plugin, 1, payload, expected) },
            Case {
                name: "Extism, instance reused",
                isolation: REUSED,
                run: extism_run(&plugin, EVENTS, payload, expected),
            },
        ]),
        Err(error) => println!("Extism is left out: {error}"),
    }
    let script = read("tests/compare/mappers/crowdstrike.js");
    let (text, kept) = (payload.to_owned(), quickjs(&script));
    let fresh = checked(expected, move || quickjs_map(&quickjs(&script), &text));
    let text = payload.to_owned();
    let reused = checked(expected, move || quickjs_map(&kept, &text));
    cases.extend([
        Case { name: "QuickJS, fresh context", isolation: FRESH, run: fresh },
        Case { name: "QuickJS, context reused", isolation: "64 MiB, 1 s, kept", run: reused },
        Case { name: "VRL", isolation: "none, none, fresh", run: vrl(payload, expected) },
    ]);
    cases
}

/// The mapper without a sandbox.
fn native(payload: &str) -> Box<dyn FnMut()> {
    let event = hookmill_sdk::Event::new(payload);
    Box::new(move || drop(black_box(hookmill_sdk::map::<crowdstrike::CrowdStrike>(black_box(&event)).unwrap())))
}

fn hookmill(events: u32, payload: &str) -> Box<dyn FnMut()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limits = PluginLimits {
        memory_bytes: Some(MEMORY_BYTES),
        deadline: DEADLINE,
        events_per_instance: NonZeroU32::new(events).unwrap(),
        ..PluginLimits::default()
    };
    let bytes = std::fs::read(project("target/plugins/crowdstrike.wasm")).unwrap();
    let plugin = Plugin::load("crowdstrike", bytes, Arc::new(Sandbox::new(4, 1).unwrap()), limits, None);
    let plugin = runtime.block_on(plugin).unwrap();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let event = Event::dry_run(uuid::Uuid::nil(), 1_767_225_600_000, "edr".into(), headers, payload.to_owned().into());
    let settings = BTreeMap::new();
    Box::new(move || {
        let call = runtime.block_on(plugin.map(black_box(&event), &[], &settings));
        assert_eq!(call.result.unwrap().unwrap().observations.len(), 1);
    })
}

/// The bundled mapper with the interface of Extism.
fn extism() -> Result<CompiledPlugin, extism::Error> {
    let file = std::fs::read(built("wasm32-unknown-unknown/plugin/extism_crowdstrike.wasm"))?;
    let manifest = Manifest::new([Wasm::data(file)]).with_memory_max((MEMORY_BYTES / PAGE_BYTES) as u32);
    // The mapper's SDK writes its log there.
    let log = Function::new("write", [const { ValType::I32 }; 3], [], UserData::new(()), |_, _, _, _| Ok(()));
    let log = log.with_namespace("hookmill:plugin/log@0.1.0");
    PluginBuilder::new(manifest.with_timeout(DEADLINE)).with_functions([log]).compile()
}

fn extism_run(compiled: &CompiledPlugin, limit: u32, payload: &str, expected: &Incident) -> Box<dyn FnMut()> {
    let (compiled, payload, mut plugin, mut events) = (compiled.clone(), payload.to_owned(), None, 0);
    checked(expected, move || {
        if events % limit == 0 {
            plugin = Some(extism::Plugin::new_from_compiled(&compiled).unwrap());
        }
        events += 1;
        incident(plugin.as_mut().unwrap().call("map", black_box(&*payload)).unwrap())
    })
}

fn quickjs(script: &str) -> Context {
    let runtime = Runtime::new().unwrap();
    runtime.set_memory_limit(MEMORY_BYTES);
    let context = Context::full(&runtime).unwrap();
    context.with(|context| context.eval::<(), _>(script)).unwrap();
    context
}

fn quickjs_map(context: &Context, payload: &str) -> Incident {
    let ends_at = Instant::now() + DEADLINE;
    context.runtime().set_interrupt_handler(Some(Box::new(move || Instant::now() > ends_at)));
    let json = context.with(|context| {
        let map: rquickjs::Function = context.globals().get("map")?;
        map.call::<_, String>((black_box(payload),))
    });
    incident(json.unwrap().as_bytes())
}

fn vrl(payload: &str, expected: &Incident) -> Box<dyn FnMut()> {
    let source = read("tests/compare/mappers/crowdstrike.vrl");
    let program = vrl::compiler::compile(&source, &vrl::stdlib::all());
    let program = program.unwrap_or_else(|errors| panic!("{errors:?}")).program;
    let payload = Value::from(payload);
    let mapped = serde_json::to_vec(&vrl_map(&program, payload.clone())).unwrap();
    assert_eq!(incident(&mapped), *expected);
    Box::new(move || drop(black_box(vrl_map(&program, black_box(payload.clone())))))
}

fn vrl_map(program: &Program, payload: Value) -> Value {
    let value = Value::Object(ObjectMap::from([("message".into(), payload)]));
    let mut target = TargetValue { value, metadata: Value::Object(ObjectMap::new()), secrets: Secrets::new() };
    let mut runtime = vrl::compiler::runtime::Runtime::new(RuntimeState::default());
    runtime.resolve(&mut target, program, &TimeZone::default()).unwrap();
    target.value
}

/// A run whose first result is compared.
fn checked(expected: &Incident, mut map: impl FnMut() -> Incident + 'static) -> Box<dyn FnMut()> {
    assert_eq!(map(), *expected);
    Box::new(move || drop(black_box(map())))
}

/// The incident in the JSON of a mapper, as a host would read it.
fn incident(json: &[u8]) -> Incident {
    let [incident] = serde_json::from_slice(json).unwrap();
    incident
}
