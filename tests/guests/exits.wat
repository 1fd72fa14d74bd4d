;; Calls `exit`.
(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (call $exit (i32.const 0))
  (i32.const 1024))
