;; Writes the reason to the log and traps in `describe`.
(module
  (import "hookmill:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "no settings")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "hookmill:plugin/mapper@0.1.0#describe") (result i32)
    (call $write (i32.const 3) (i32.const 16) (i32.const 11))
    (unreachable))
  (func (export "hookmill:plugin/mapper@0.1.0#to-incidents")
    (param i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (unreachable)))
