;; Traps if the first two items of a long list, `{"id":3,"ids":["a-10001",…`, differ: it stands for a mapper that compares
;; each item with all others. Else it maps normally.
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (if (i32.and
        (i32.gt_u (local.get 15) (i32.const 900000))
        (i32.and
          (i32.eq (i32.load8_u offset=24 (local.get 14)) (i32.const 44)) ;; the comma behind the first item
          (i32.ne (i32.load8_u offset=22 (local.get 14)) (i32.load8_u offset=32 (local.get 14)))))
    (then unreachable))
  (i32.store (i32.const 1028) (i32.const 1100))
  (i32.store (i32.const 1032) (i32.const 1))
  (i32.store (i32.const 1100) (i32.const 16)) ;; the source-ref is the name of the guest
  (i32.store (i32.const 1104) (i32.const 5))
  (i32.const 1024))
