;; Writes 10,000 log lines, then maps normally.
(import "hookmill:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (local $line i32)
  (loop $again
    (call $write (i32.const 1) (i32.const 24) (i32.const 7))
    (local.set $line (i32.add (local.get $line) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $line) (i32.const 10000))))
  (i32.store (i32.const 1028) (i32.const 1100))
  (i32.store (i32.const 1032) (i32.const 1))
  (i32.store (i32.const 1100) (local.get 14))
  (i32.store (i32.const 1104) (local.get 15))
  (i32.const 1024))
