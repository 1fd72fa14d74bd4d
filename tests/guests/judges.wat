;; A playbook that decodes its result from the incident's description: two letters from `a` to `p` per byte of memory,
;; from 2 MiB on. `T` makes it trap, `L` makes it loop. outcome.rs makes such descriptions.
(func (export "hookmill:plugin/playbook@0.1.0#triage") (param i32) (result i32)
  (local $from i32) (local $end i32) (local $to i32)
  (local.set $from (i32.load offset=44 (local.get 0)))
  (local.set $end (i32.add (local.get $from) (i32.load offset=48 (local.get 0))))
  (local.set $to (i32.const 0x200000))
  (if (i32.eq (i32.load8_u (local.get $from)) (i32.const 84)) (then (unreachable)))
  (if (i32.eq (i32.load8_u (local.get $from)) (i32.const 76)) (then (loop $again (br $again))))
  (loop $more
    (if (i32.lt_u (local.get $from) (local.get $end)) (then
      (i32.store8 (local.get $to) (i32.or
        (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
        (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br $more))))
  (i32.const 0x200000))
