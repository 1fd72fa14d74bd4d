//! The configuration of engines, for the one that runs plugins and the one that compiles them.

use crate::guest::TABLE_ELEMENTS_MAX;
use anyhow::Result;
use std::env::consts::ARCH;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The bytes of a slot's memory and tables that stay resident. The rest is returned to the system after each event.
const KEEP_RESIDENT_BYTES: usize = 1024 * 1024;
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 * 1024;
/// The greatest memory limit of a plugin, in bytes. The pool reserves only address space for it.
pub const MEMORY_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Sufficient for Python components, which have about ten core instances, a memory and a few tables.
const CORE_INSTANCES_PER_COMPONENT: u32 = 40;
const CORE_INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The stack of the guest, and of its task, which also has the frames of host functions.
const WASM_STACK_BYTES: usize = 512 * 1024;
const TASK_STACK_BYTES: usize = 1024 * 1024;

/// The features of processors that portable code uses: those of x86-64-v2, which servers have had since 2009. Other
/// architectures use their least common features.
const PORTABLE_FEATURES: &[&str] =
    if cfg!(target_arch = "x86_64") { &["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"] } else { &[] };

/// The way in which instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From slots that are reserved once and kept.
    Pooled,
    /// From the operating system, for each instance.
    OnDemand,
}

/// Returns the configuration of engines. Compiled code fits every engine, however it allocates instances.
pub fn engine_config(allocation: Allocation, instances: u32) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.concurrency_support(false);
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    config.async_stack_size(TASK_STACK_BYTES);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    if allocation == Allocation::Pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
            .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
            .total_memories(instances.saturating_mul(2))
            .max_memories_per_component(2)
            .total_tables(instances.saturating_mul(8))
            .max_tables_per_component(8)
            .total_stacks(instances)
            .max_memory_size(MEMORY_BYTES_MAX)
            .table_elements(TABLE_ELEMENTS_MAX)
            .max_core_instance_size(CORE_INSTANCE_BYTES_MAX)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Returns the configuration of an engine that compiles for other machines of this architecture, and runs nothing.
///
/// # Errors
/// Returns an error if the compiler does not know this architecture.
pub(crate) fn portable_config() -> Result<Config> {
    let mut config = engine_config(Allocation::OnDemand, 1);
    config.target(&format!("{ARCH}-unknown-linux-gnu"))?;
    for feature in PORTABLE_FEATURES {
        enable(&mut config, feature);
    }
    Ok(config)
}

#[allow(unsafe_code, reason = "other flags of the compiler could make its code unsound")]
fn enable(config: &mut Config, feature: &str) {
    // SAFETY: the flag names a feature of processors, and the engine that loads the code checks that its own has them.
    unsafe { config.cranelift_flag_enable(feature) };
}
