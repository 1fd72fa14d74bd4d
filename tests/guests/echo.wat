;; A well-behaved guest: one incident whose source-ref is the body.
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (i32.store (i32.const 1028) (i32.const 1100)) ;; pointer to the incidents
  (i32.store (i32.const 1032) (i32.const 1))
  (i32.store (i32.const 1100) (local.get 14))   ;; pointer to the source-ref
  (i32.store (i32.const 1104) (local.get 15))
  (i32.const 1024))
