;; Writes the reason to the log, then traps, as the panic hooks of SDKs do.
(import "hookmill:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(data (i32.const 200) "panicked at mapper.rs:7:9:" "the id is missing")
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (call $write (i32.const 3) (i32.const 200) (i32.const 26))
  (call $write (i32.const 3) (i32.const 226) (i32.const 17))
  (unreachable))
