;; Counts its calls and returns the number of earlier ones as source-ref. Traps if the body begins with `t`; grows by
;; 32 MiB if it begins with `g`.
(global $calls (mut i32) (i32.const 48)) ;; "0"
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (if (i32.eq (i32.load8_u (local.get 14)) (i32.const 116)) (then unreachable))
  (if (i32.eq (i32.load8_u (local.get 14)) (i32.const 103)) (then (drop (memory.grow (i32.const 512)))))
  (i32.store8 (i32.const 2048) (global.get $calls))
  (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
  (i32.store (i32.const 1028) (i32.const 1100))
  (i32.store (i32.const 1032) (i32.const 1))
  (i32.store (i32.const 1100) (i32.const 2048))
  (i32.store (i32.const 1104) (i32.const 1))
  (i32.const 1024))
