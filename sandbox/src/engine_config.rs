//! The configuration of engines, for the one that runs plugins and the one that compiles them.

use crate::guest::TABLE_ELEMENTS_MAX;
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

/// The way in which instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From slots that are reserved once and kept.
    Pooled,
    /// From the operating system, for each instance.
    OnDemand,
}

/// Returns the configuration of engines. Compiled code fits every engine, however it allocates instances.
pub(crate) fn engine_config(allocation: Allocation, instances: u32) -> Config {
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
