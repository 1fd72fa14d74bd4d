;; Requests 4 GiB of random bytes in one call.
(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (call $random (i64.const 0x100000000) (i32.const 1024))
  (i32.const 1024))
